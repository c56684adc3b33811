import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { planHeader, requireDataBytes, type TensorLayout } from "../serialize-header.js";
import { MAX_TRANSFER_BYTES } from "./file-source.js";

/** A tensor whose data is made when its turn comes, and dropped before the next. */
export interface TensorSource extends TensorLayout {
  readonly data: () => Uint8Array | Promise<Uint8Array>;
}

/**
 * Writes a safetensors file one tensor at a time, in the order given, so that memory holds one tensor.
 *
 * The file is written beside its place as `<path>.partial` and renamed when complete: readers see the old file or the
 * new one, never half of one. When anything fails the partial file is removed.
 *
 * @throws {SafetensorsError} `invalid-argument` when data does not fit its shape or a name is repeated. Errors of
 * `data` and of the file system pass through.
 */
export async function writeSafetensorsFile(
  path: string,
  tensors: Iterable<TensorSource>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const sources = [...tensors];
  const { bytes: header, tensorBytes } = planHeader(sources, metadata);
  await writeAtomically(path, async (handle) => {
    await writeAll(handle, header);
    for (const [index, { name, data }] of sources.entries()) {
      const bytes = await data();
      requireDataBytes(name, bytes, tensorBytes[index]!);
      await writeAll(handle, bytes);
    }
  });
}

async function writeAtomically(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const partial = `${path}.partial`;
  const handle = await open(partial, "w");
  try {
    await write(handle);
    // Without it a power cut could leave the new name on data that never reached the disk.
    await handle.sync();
    await handle.close();
    await rename(partial, path);
  } catch (error) {
    await handle.close();
    await rm(partial, { force: true });
    throw error;
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - done, MAX_TRANSFER_BYTES);
    done += (await handle.write(bytes, done, length)).bytesWritten;
  }
}
