import { float } from "@kvfold/onnx";
import type { CacheShape, HeadNormWeights, NormWeights } from "../model/decoder-weights.js";
import type { Emitter } from "./emitter.js";

/**
 * RMSNorm or LayerNorm over the last axis. RMSNorm is ONNX Runtime's `SimplifiedLayerNormalization`, which it
 * keeps in the default domain and which all its execution providers have; both accumulate in float32.
 */
function emitNorm(e: Emitter, name: string, x: string, norm: NormWeights): string {
  const part = e.at(name);
  const dims = [norm.weight.length];
  const weight = part.floats("weight", dims, norm.weight);
  const attributes = { axis: -1, epsilon: float(norm.epsilon), stash_type: 1 };
  if (norm.kind === "rms")
    return part.node("SimplifiedLayerNormalization", "RMSNorm", [x, weight], { attributes });
  const bias = part.floats("bias", dims, norm.bias ?? new Float32Array(norm.weight.length));
  return part.node("LayerNormalization", "LayerNorm", [x, weight, bias], { attributes });
}

/** A norm where there is one. */
export const emitOptionalNorm = (
  e: Emitter,
  name: string,
  x: string,
  norm: NormWeights | undefined,
): string => (norm === undefined ? x : emitNorm(e, name, x, norm));

/** The norm of queries or keys, `[B, S, heads * size]` to the same. */
export function emitHeadNorm(
  e: Emitter,
  x: string,
  norm: HeadNormWeights,
  { heads, size }: CacheShape,
): string {
  const { kind, epsilon, over, weight } = norm;
  if (over === "whole") return emitNorm(e, "norm", x, { kind, epsilon, weight, bias: undefined });
  const split = e.reshape("split/Reshape", x, [0, 0, heads, size]);
  const shared = over === "shared" ? weight : new Float32Array(size).fill(1);
  const normed = emitNorm(e, "norm", split, { kind, epsilon, weight: shared, bias: undefined });
  const scaled =
    over === "shared"
      ? normed
      : e.node("Mul", "weight/Mul", [normed, e.floats("weight", [heads, size], weight)]);
  return e.reshape("join/Reshape", scaled, [0, 0, heads * size]);
}
