import type { FolderSource } from "@kvfold/decoder";
import { DecoderError } from "@kvfold/decoder";
import type { ModelFiles } from "./model-files.js";

/** Files in the browser as a checkpoint's folder: tensors are read from them when asked for. */
export function blobFolder(name: string, files: ModelFiles): FolderSource {
  return {
    name,
    readText: async (path) => readText(name, path, files.get(path)),
    openBytes: async (path) => {
      const blob = files.get(path);
      return blob && { byteLength: blob.size, read: (start, end) => readBytes(blob, start, end) };
    },
  };
}

async function readText(name: string, path: string, blob: Blob | undefined): Promise<string | undefined> {
  if (blob === undefined) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await blob.arrayBuffer());
  } catch (cause) {
    throw new DecoderError("malformed-checkpoint", `${name}/${path} is not UTF-8 text`, { cause });
  }
}

const readBytes = async (blob: Blob, start: number, end: number): Promise<Uint8Array> =>
  new Uint8Array(await blob.slice(start, end).arrayBuffer());
