/**
 * Decoders in plain float64 loops, written from the published architectures alone: no graph, no plan and no family
 * data of kvfold is used, only its reader of tensors.
 */
import type { Checkpoint } from "../../src/index.js";
import { bloomDecoder } from "./bloom.js";
import type { Rows } from "./layers.js";
import { llamaDecoder } from "./llama.js";

/** What a layer attends to: keys (after the rotation) and values, `[T, Hkv * d]` each. */
export interface Attended {
  readonly keys: Rows;
  readonly values: Rows;
}

/** What a hook sees of a layer. */
export interface Seen extends Attended {
  /** After the rotation, `[T, H * d]`. */
  readonly queries: Rows;
  /** `[T, Hkv * d]`; the keys themselves where positions are no rotations. */
  readonly keysBeforeRope: Rows;
  /** Rotates keys as the model does; leaves them alone where positions are no rotations. */
  readonly rotate: (keys: Rows) => Rows;
}

/** Sees what layer `layer` attends with and to, and may replace keys and values. */
export type AttendedHook = (layer: number, seen: Seen) => Attended;

/** Where a decoder takes its tensors from, by the checkpoint's own names. */
export interface TensorReader {
  readonly fields: Readonly<Record<string, unknown>>;
  required(name: string, shape: readonly number[]): Promise<Float32Array>;
  optional(name: string, shape: readonly number[]): Promise<Float32Array | undefined>;
}

/** Logits `[T, V]` of a checkpoint for one sequence. */
export function referenceLogits(
  checkpoint: Checkpoint,
  tokens: ArrayLike<number>,
  hook: AttendedHook = (_, attended) => attended,
): Promise<Rows> {
  const reader: TensorReader = {
    fields: checkpoint.config.fields,
    required: (name, shape) => checkpoint.read(name, shape),
    optional: async (name, shape) => (checkpoint.has(name) ? checkpoint.read(name, shape) : undefined),
  };
  const decoder = reader.fields.model_type === "bloom" ? bloomDecoder : llamaDecoder;
  return decoder(reader, Array.from(tokens), hook);
}
