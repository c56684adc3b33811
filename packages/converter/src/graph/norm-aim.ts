import type { Linear, NormWeights } from "@kvfold/decoder";
import type { Emitter } from "@kvfold/decoder/graph";
import { emitLinear } from "@kvfold/decoder/graph";

/** Outputs whose weight in the norm is smaller than this share of the root mean square of all are not refitted. */
const LEAST_WEIGHT = 0.1;

/**
 * `1 / g` for each output of a projection that a norm of weights `g` follows, and 0 where the output is not refitted: what
 * the stream lacks cannot come through a weight near zero, and aiming for it would swell the output, which the norm
 * divides all outputs by.
 */
export function aimScales({ weight }: Pick<NormWeights, "weight">): Float32Array {
  const square = weight.reduce((sum, value) => sum + value * value, 0) / weight.length;
  const least = LEAST_WEIGHT * Math.sqrt(square);
  return weight.map((value) => (Math.abs(value) > least ? 1 / value : 0));
}

/** Values of a regression, `[1, S, width]` each. */
export interface NormAim {
  readonly inputs: string;
  readonly target: string;
  /** `[1, S, 1]`: what the offset is multiplied by. */
  readonly offset: string;
}

/**
 * The regression of a projection that a norm follows: `norm(z W + b) = g (z W + b - m) / rho + c` with `rho` and `m` of
 * each token as they are with the present weights (`m` is 0 for an RMS norm). So `z / rho` times `W` and `1 / rho` times
 * `b` are to give `(missing - c) / g + m / rho`, where `missing` is what the norm's output should be.
 */
export function emitNormAim(
  e: Emitter,
  { inputs, missing }: { readonly inputs: string; readonly missing: string },
  projection: Linear,
  norm: NormWeights,
): NormAim {
  const output = emitLinear(e, "present", inputs, projection);
  const mean = norm.kind === "layer" ? emitMean(e.at("mean"), output) : undefined;
  const centred = mean === undefined ? output : e.node("Sub", "centred/Sub", [output, mean]);
  const offset = emitReciprocalSize(e.at("rho"), centred, norm.epsilon);
  const scaled = emitUnweighted(e, missing, norm);
  return {
    inputs: e.node("Mul", "inputs/Mul", [inputs, offset]),
    target:
      mean === undefined
        ? scaled
        : e.node("Add", "target/Add", [scaled, e.node("Mul", "mean/Mul", [mean, offset])]),
    offset,
  };
}

/** `(missing - c) / g`, and 0 for outputs that are not refitted. */
function emitUnweighted(e: Emitter, missing: string, norm: NormWeights): string {
  const dims = [norm.weight.length];
  const shifted =
    norm.bias === undefined
      ? missing
      : e.node("Sub", "target/Sub", [missing, e.floats("norm/bias", dims, norm.bias)]);
  return e.node("Mul", "target/Mul", [shifted, e.floats("norm/scales", dims, aimScales(norm))]);
}

/** `1 / sqrt(mean(x^2) + epsilon)`, `[1, S, 1]`. */
function emitReciprocalSize(e: Emitter, x: string, epsilon: number): string {
  const square = emitMean(e, e.node("Mul", "Mul", [x, x]));
  return e.node("Reciprocal", "Reciprocal", [
    e.node("Sqrt", "Sqrt", [e.node("Add", "Add", [square, e.scalar(epsilon)])]),
  ]);
}

const emitMean = (e: Emitter, x: string): string =>
  e.node("ReduceMean", "ReduceMean", [x, e.graph.int64([-1])], { attributes: { keepdims: 1 } });
