import { Tensor } from "@kvfold/runtime";
import type { StreamPlace } from "./stream-place.js";

/** The original's hidden states after its last block, kept for windows that come again. */
export interface OriginalStates {
  /** Those of a batch `[B, S, D]`, where all of its windows are known. */
  find(batch: readonly Int32Array[]): Tensor | undefined;
  /** Keeps those of a batch, as far as there is room: a window that is known stays. */
  keep(batch: readonly Int32Array[], states: Tensor): Promise<void>;
}

/** @param bytes - How many they may take, in the memory of the processor. */
export function createOriginalStates(place: StreamPlace, bytes: number): OriginalStates {
  // A training asks with the very arrays that it was given.
  const known = new Map<Int32Array, { readonly states: Float32Array; readonly width: number }>();
  let free = bytes;
  return {
    find(batch) {
      const found = batch.flatMap((window) => known.get(window) ?? []);
      if (found.length < batch.length) return undefined;
      const [{ states, width }] = found as [(typeof found)[0]];
      return new Tensor("float32", joined(found), [batch.length, states.length / width, width]);
    },
    async keep(batch, tensor) {
      const size = tensor.size / batch.length;
      if (batch.every((window) => known.has(window)) || 4 * tensor.size > free) return;
      const all = await place.read(tensor);
      for (const [index, window] of batch.entries()) {
        if (known.has(window)) continue;
        const states = batch.length === 1 ? all : all.slice(index * size, (index + 1) * size);
        known.set(window, { states, width: tensor.dims.at(-1)! });
        free -= states.byteLength;
      }
    },
  };
}

function joined(parts: readonly { readonly states: Float32Array }[]): Float32Array {
  if (parts.length === 1) return parts[0]!.states;
  const size = parts[0]!.states.length;
  const all = new Float32Array(parts.length * size);
  for (const [index, { states }] of parts.entries()) all.set(states, index * size);
  return all;
}
