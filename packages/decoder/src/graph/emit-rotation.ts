import type { RopeParameters } from "@kvfold/rope";
import type { CacheShape } from "../model/decoder-weights.js";
import { type Emitter, MICROSOFT } from "./emitter.js";
import type { Rotation } from "./rotation.js";

export declare namespace emitRotation {
  interface Options {
    readonly rotation: Rotation;
    readonly rope: RopeParameters;
    /** Heads side by side and their size. */
    readonly shape: CacheShape;
    /** Frequency of each pair of a head, in layers that have an order of their own; whole heads turn then. */
    readonly slots?: readonly number[] | undefined;
  }
}

/** Rotates rows `[B, S, heads * d]` or heads `[B, heads, S, d]` by their positions, half-split layout. */
export function emitRotation(
  e: Emitter,
  x: string,
  { rotation, rope, shape, slots }: emitRotation.Options,
): string {
  const { cos, sin, rows } = rotation;
  const table = (name: string, value: string) =>
    slots === undefined
      ? value
      : e.node("Gather", `${name}/Gather`, [value, e.graph.int64(slots)], { attributes: { axis: 1 } });
  const isPartial = slots === undefined && rope.rotaryDim < shape.size;
  const attributes = isPartial ? { rotary_embedding_dim: rope.rotaryDim, num_heads: shape.heads } : {};
  return e.node("RotaryEmbedding", "RotaryEmbedding", [x, rows, table("cos", cos), table("sin", sin)], {
    domain: MICROSOFT,
    attributes,
  });
}
