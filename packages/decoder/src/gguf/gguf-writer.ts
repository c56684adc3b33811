import { type ByteSink, type PieceBuffers, pieceBuffers, writeStream } from "@kvfold/onnx";
import type { StoredMatrix } from "../model/stored-matrix.js";
import { storedRows } from "../model/stored-pieces.js";
import type { Metadata } from "./metadata.js";
import { serializeHeader } from "./serialize-header.js";
import { alignUp, countElements, type GgufTensor, placeTensors } from "./tensor-info.js";
import { tensorTypes } from "./tensor-type.js";

/** Writes the tensors of a GGUF file in the order in which its header lists them. */
export interface GgufWriter {
  /** Encodes and writes the next tensor. */
  add(name: string, values: Float32Array | StoredMatrix): Promise<void>;
  /** Fails when tensors are missing. */
  finish(): void;
}

/**
 * Starts a GGUF file: its head is written at once, so all tensors are stated before the first has values. Memory is the head and
 * one tensor.
 *
 * Whoever owns `sink` closes it.
 */
export async function startGguf(
  sink: ByteSink,
  metadata: Metadata,
  tensors: readonly GgufTensor[],
): Promise<GgufWriter> {
  const placed = placeTensors(tensors);
  const buffers = pieceBuffers();
  let next = 0;
  await sink.write(serializeHeader(metadata, placed));
  return {
    async add(name, values) {
      const tensor = placed[next++];
      const count = values instanceof Float32Array ? values.length : values.rows * values.columns;
      if (tensor?.name !== name || countElements(tensor.shape) !== count)
        throw new Error(
          `expected values of ${tensor?.name ?? "no further tensor"}, found ${count} of ${name}`,
        );
      let byteLength = 0;
      await writeValues(tensor, values, buffers, async (bytes) => {
        byteLength += bytes.byteLength;
        await sink.write(bytes);
      });
      const padding = alignUp(byteLength) - byteLength;
      if (padding > 0) await sink.write(new Uint8Array(padding));
    },
    finish() {
      if (next < placed.length) throw new Error(`${placed[next]!.name} was never written`);
    },
  };
}

/** Writes the values of a tensor, a piece at a time where they are still in a checkpoint as floats. */
async function writeValues(
  { name, type }: GgufTensor,
  values: Float32Array | StoredMatrix,
  buffers: PieceBuffers,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const { encode, float } = tensorTypes[type];
  if (values instanceof Float32Array) return write(encode(values, name));
  if (float === undefined) return write(encode(await values.numbers(), name));
  const fill = storedRows(values, { type: float, tensor: name });
  await writeStream({ type: float, dims: [values.rows, values.columns], fill }, write, buffers);
}
