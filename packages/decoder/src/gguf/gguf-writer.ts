import type { ByteSink } from "@kvfold/onnx";
import type { Metadata } from "./metadata.js";
import { serializeHeader } from "./serialize-header.js";
import { alignUp, countElements, type GgufTensor, placeTensors } from "./tensor-info.js";
import { tensorTypes } from "./tensor-type.js";

/** Writes the tensors of a GGUF file in the order in which its header lists them. */
export interface GgufWriter {
  /** Encodes and writes the next tensor. */
  add(name: string, values: Float32Array): Promise<void>;
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
  let next = 0;
  await sink.write(serializeHeader(metadata, placed));
  return {
    async add(name, values) {
      const tensor = placed[next++];
      if (tensor?.name !== name || countElements(tensor.shape) !== values.length)
        throw new Error(
          `expected values of ${tensor?.name ?? "no further tensor"}, got ${values.length} of ${name}`,
        );
      const bytes = tensorTypes[tensor.type].encode(values, name);
      await sink.write(bytes);
      const padding = alignUp(bytes.byteLength) - bytes.byteLength;
      if (padding > 0) await sink.write(new Uint8Array(padding));
    },
    finish() {
      if (next < placed.length) throw new Error(`${placed[next]!.name} was never written`);
    },
  };
}
