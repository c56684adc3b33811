import type { ByteSource } from "../byte-source.js";
import { SafetensorsError } from "../safetensors-error.js";
import { decodeUtf8 } from "./text-codec.js";

/** The first line of a pointer: the small text file that a clone without git-lfs has in place of a large file. */
const POINTER_START = "version https://git-lfs";

export const isPointerText = (text: string): boolean => text.startsWith(POINTER_START);

/** Whether a file whose first bytes are `start` is a Git LFS pointer. Reads on only when these bytes fit. */
export async function isPointerFile(source: ByteSource, start: Uint8Array): Promise<boolean> {
  const text = decodeUtf8(start);
  if (text === undefined || !POINTER_START.startsWith(text)) return false;
  const bytes = await source.read(0, Math.min(POINTER_START.length, source.byteLength));
  return isPointerText(decodeUtf8(bytes) ?? "");
}

/** The error for a pointer in place of a file. Callers put the file's name in front. */
export const pointerError = (): SafetensorsError =>
  new SafetensorsError(
    "malformed",
    "this is a Git LFS pointer; run git lfs pull in its folder to fetch the file itself",
  );
