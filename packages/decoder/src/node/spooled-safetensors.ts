import { open, rm } from "node:fs/promises";
import { type PieceBuffers, pieceBuffers, writeStream } from "@kvfold/onnx";
import { encodeFloats } from "@kvfold/safetensors";
import { readFully, writeFully, writeSafetensorsFile } from "@kvfold/safetensors/node";
import type { StoredTensor } from "../checkpoint/stored-tensor.js";
import { storedRows } from "../model/stored-pieces.js";
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
  const buffers = pieceBuffers();
  let end = 0;
  const read = async ({ start, byteLength }: Spooled) => {
    const bytes = new Uint8Array(byteLength);
    await readFully(spool, bytes, { position: start, path: spoolPath });
    return bytes;
  };
  return {
    takesStored: true,
    async add(tensor) {
      const { name, shape } = tensor;
      const start = end;
      await writeTensor(tensor, dtype, buffers, async (bytes) => {
        await writeFully(spool, bytes, end);
        end += bytes.byteLength;
      });
      tensors.push({ name, shape, start, byteLength: end - start });
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

/** Writes the values of a tensor, a piece at a time where they are still in the input. */
async function writeTensor(
  { name, data, matrix }: StoredTensor,
  dtype: "F32" | "F16",
  buffers: PieceBuffers,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  if (matrix === undefined) return write(encodeFloats(data, dtype, { tensor: name }));
  const type = dtype === "F16" ? "float16" : "float32";
  const fill = storedRows(matrix, { type, tensor: name });
  await writeStream({ type, dims: [matrix.rows, matrix.columns], fill }, write, buffers);
}
