import { open } from "node:fs/promises";
import type { ByteSink } from "../external-data.js";
import { writeFully } from "./write-fully.js";

/** Opens a new file for writing; fails when it exists, so that nothing is ever overwritten. Any size can be written. */
export async function fileSink(path: string): Promise<ByteSink> {
  const file = await open(path, "wx");
  return {
    write: (bytes) => writeFully(file, bytes),
    close: () => file.close(),
  };
}
