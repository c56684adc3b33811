import { planHeader, requireDataBytes, type TensorLayout } from "../serialize-header.js";
import { writeFully } from "./transfer.js";
import { writeWholeFile } from "./write-whole-file.js";

/** A tensor whose data is made when its turn comes, and dropped before the next. */
export interface TensorSource extends TensorLayout {
  readonly data: () => Uint8Array | Promise<Uint8Array>;
}

/**
 * Writes a safetensors file one tensor at a time, in the order given, so that memory holds one tensor.
 *
 * The file is written beside its place, as a new file `<path>.partial-` and eight hexadecimal digits, and renamed when
 * complete: readers see the old file or the new one, never half of one, also after a power cut. When anything fails the
 * partial file is removed. Two writers of one path do not disturb each other: the last to finish wins.
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
  await writeWholeFile(path, async (handle) => {
    await writeFully(handle, header);
    for (const [index, { name, data }] of sources.entries()) {
      const bytes = await data();
      requireDataBytes(name, bytes, tensorBytes[index]!);
      await writeFully(handle, bytes);
    }
  });
}
