import { open } from "node:fs/promises";
import type { ByteSink } from "../external-data.js";

/** Opens a new file for writing; fails when it exists, so that nothing is ever overwritten. */
export async function fileSink(path: string): Promise<ByteSink> {
  const file = await open(path, "wx");
  return {
    write: async (bytes) => {
      // A short write is legal; the loop ends because the system either takes bytes or reports an error.
      for (let done = 0; done < bytes.byteLength; ) {
        done += (await file.write(bytes, done, bytes.byteLength - done)).bytesWritten;
      }
    },
    close: async () => file.close(),
  };
}
