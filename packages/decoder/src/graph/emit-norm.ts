import { float } from "@kvfold/onnx";
import type { NormWeights } from "../model/decoder-weights.js";
import type { Emitter } from "./emitter.js";

/**
 * RMSNorm or LayerNorm over the last axis. RMSNorm is ONNX Runtime's `SimplifiedLayerNormalization`, which it
 * keeps in the default domain and which all its execution providers have; both accumulate in float32.
 */
export function emitNorm(
  e: Emitter,
  name: string,
  x: string,
  kind: "rms" | "layer",
  norm: NormWeights,
  epsilon: number,
): string {
  const part = e.at(name);
  const dims = [norm.weight.length];
  const weight = part.floats("weight", dims, norm.weight);
  const attributes = { axis: -1, epsilon: float(epsilon), stash_type: 1 };
  if (kind === "rms")
    return part.node("SimplifiedLayerNormalization", "RMSNorm", [x, weight], { attributes });
  const bias = part.floats("bias", dims, norm.bias ?? new Float32Array(norm.weight.length));
  return part.node("LayerNormalization", "LayerNorm", [x, weight, bias], { attributes });
}
