import { open, rm } from "node:fs/promises";
import { encodeFloats } from "@kvfold/safetensors";
import { readFully, writeFully, writeSafetensorsFile } from "@kvfold/safetensors/node";
import type { TensorSink } from "../output/checkpoint-output.js";

interface Spooled {
  readonly name: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly byteLength: number;
}

/**
 * A safetensors file at `path` whose tensors come one at a time. The header stands first and lists them all, so their
 * bytes wait in a file beside it: memory is one tensor.
 */
export async function spooledSafetensors(path: string, dtype: "F32" | "F16"): Promise<TensorSink> {
  const spoolPath = `${path}.spool`;
  const spool = await open(spoolPath, "wx+");
  const tensors: Spooled[] = [];
  let end = 0;
  const read = async ({ start, byteLength }: Spooled) => {
    const bytes = new Uint8Array(byteLength);
    await readFully(spool, bytes, { position: start, path: spoolPath });
    return bytes;
  };
  return {
    async add({ name, shape, data }) {
      const bytes = encodeFloats(data, dtype, { tensor: name });
      await writeFully(spool, bytes, end);
      tensors.push({ name, shape, start: end, byteLength: bytes.byteLength });
      end += bytes.byteLength;
    },
    async finish() {
      const sources = tensors.map((tensor) => ({
        name: tensor.name,
        dtype,
        shape: tensor.shape,
        data: () => read(tensor),
      }));
      // Hugging Face loaders ask for this entry.
      await writeSafetensorsFile(path, sources, { format: "pt" });
      await spool.close();
      await rm(spoolPath);
    },
    async abandon() {
      try {
        await spool.close();
      } finally {
        await rm(spoolPath, { force: true });
      }
    },
  };
}
