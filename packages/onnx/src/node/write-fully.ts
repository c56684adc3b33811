import type { FileHandle } from "node:fs/promises";

/** Node refuses single writes of 2^31 bytes and more; one of 256 MiB is as fast as any larger one. */
const MAX_WRITE_BYTES = 2 ** 28;

/** Writes all of `bytes` where the file's last write ended, in as many writes as it takes. */
export async function writeFully(handle: Pick<FileHandle, "write">, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - done, MAX_WRITE_BYTES);
    const { bytesWritten } = await handle.write(bytes, done, length);
    // The system takes bytes or reports an error; a loop that does neither must not run for ever.
    if (bytesWritten === 0) throw new Error(`expected to write ${length} bytes, the system took none`);
    done += bytesWritten;
  }
}
