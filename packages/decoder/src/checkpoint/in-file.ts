import { OnnxError } from "@kvfold/onnx";
import { SafetensorsError } from "@kvfold/safetensors";
import { DecoderError } from "../decoder-error.js";

/**
 * Adds the file's name to what goes wrong while it is read, and tells broken content from a failing disk or network.
 *
 * @throws {DecoderError} `malformed-checkpoint` where the bytes are wrong, `unreadable-checkpoint` where they are out of reach.
 */
export async function inFile<T>(
  { name }: { readonly name: string },
  file: string,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (DecoderError.isInstance(cause)) throw cause;
    const code = isAboutContent(cause) ? "malformed-checkpoint" : "unreadable-checkpoint";
    throw new DecoderError(code, `${name}/${file}: ${(cause as Error).message}`, { cause });
  }
}

/** Whether bytes are wrong, in place of out of reach: a file that was closed, or larger than memory, may be sound. */
const isAboutContent = (error: unknown): boolean =>
  OnnxError.isInstance(error) ||
  (SafetensorsError.isInstance(error) && error.code !== "closed" && error.code !== "limit-exceeded");
