import { readFloats } from "../decode-floats.js";
import { parseHeader, type SafetensorsHeader } from "../parse-header.js";
import { SafetensorsError } from "../safetensors-error.js";
import { fileSource } from "./file-source.js";

/** A safetensors file opened for reading: its header, and its tensors one at a time. */
export interface SafetensorsFile extends SafetensorsHeader {
  readonly path: string;
  /** The raw bytes of a tensor. */
  readBytes(name: string): Promise<Uint8Array>;
  /** A tensor as float32. */
  readFloats(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Opens a safetensors file and checks its header; each tensor is read when asked for. Close it when done.
 *
 * @throws {SafetensorsError} as {@link parseHeader}, naming the file; reads throw `unknown-tensor` for a name the file
 * does not have. The file system's own errors pass through.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const source = await fileSource(path);
  try {
    const header = await parseHeader(source);
    const find = (name: string) => {
      const info = header.tensors.get(name);
      if (info !== undefined) return info;
      throw new SafetensorsError(
        "unknown-tensor",
        `${path}: expected a tensor ${name}, found none of that name among ${header.tensors.size}`,
      );
    };
    return {
      ...header,
      path,
      readBytes: async (name) => {
        const { start, end } = find(name);
        return source.read(start, end);
      },
      readFloats: async (name) => readFloats(source, find(name)),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    if (!SafetensorsError.isInstance(error)) throw error;
    throw new SafetensorsError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}
