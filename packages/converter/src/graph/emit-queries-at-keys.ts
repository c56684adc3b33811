import type { AttentionWeights } from "@kvfold/decoder";
import type { Emitter } from "@kvfold/decoder/graph";
import { type RopeParameters, ropeFrequencies, ropeTables } from "@kvfold/rope";
import { type EmittedTurns, emitTurnedGram } from "./emit-turned-gram.js";

/** What the metric of keys before the rotation is made of, over one window. */
export interface KeyMeetings {
  /** Queries before the rotation, `[1, H, S, d]`. */
  readonly queries: string;
  /** `w_m` of `emitSensitivity`, `[1, H, S, 1]`. */
  readonly weights: string;
  /** What the keys at each distance have of these weights, `[1, H, S]`. */
  readonly distances: string;
}

/**
 * Second moments of queries as keys before the rotation meet them, per head, `[1, H, d, d]`, summed over the window:
 * `sum_mn w_mn (q_m R_(m - n))ᵀ (q_m R_(m - n))`, with `R` the rotation over a distance. Such a key `k` scores
 * `q_m R_(m - n) . k`, so this is what an error in it costs at the layer's output (without the squares of scale and attention
 * factor).
 *
 * The distances a head attends over count as independent of the query: `E[w q qᵀ]` turned by their distribution. Heads that
 * look at their neighbourhood then keep the directions within and between pairs apart, and heads that look everywhere have
 * one weight a pair.
 */
export function emitQueriesAtKeys(
  e: Emitter,
  { queries, weights, distances }: KeyMeetings,
  { rope, headDim }: Pick<AttentionWeights, "rope" | "headDim">,
  length: number,
): string {
  const rooted = e.node("Mul", "rooted/Mul", [queries, e.node("Sqrt", "rooted/Sqrt", [weights])]);
  const turned = e.transpose("rooted/Transpose", rooted, [0, 1, 3, 2]);
  const gram = e.node("MatMul", "gram/MatMul", [turned, rooted]);
  if (rope === undefined) return gram;
  const means = emitMeanTurns(e.at("turns"), emitShares(e.at("shares"), distances), rope, length);
  return emitTurnedGram(e.at("turned"), gram, means, { headDim, rotaryDim: rope.rotaryDim });
}

/** Distances as shares of one; zeros where a head has no weight at all. */
function emitShares(e: Emitter, distances: string): string {
  const total = e.node("ReduceSum", "ReduceSum", [distances, e.graph.int64([2])], {
    attributes: { keepdims: 1 },
  });
  return e.node("Div", "Div", [distances, e.node("Max", "Max", [total, e.scalar(TINY)])]);
}

/** Below every weight that matters, above zero in float32. */
const TINY = 1e-30;

/** Means over distances, by head. */
function emitMeanTurns(e: Emitter, shares: string, rope: RopeParameters, length: number): EmittedTurns {
  const { cos, sin } = emitTables(e, rope, length);
  const rows = e.node("Unsqueeze", "shares/Unsqueeze", [shares, e.graph.int64([2])]);
  const weighted = (name: string, values: string) =>
    e.node("Mul", `${name}/Mul`, [e.transpose(`${name}/Transpose`, values, [1, 0]), rows]);
  const [byCos, bySin] = [weighted("by_cos", cos), weighted("by_sin", sin)];
  const mean = (name: string, left: string, right: string) =>
    e.node("MatMul", `${name}/MatMul`, [left, right]);
  const [cc, ss, cs] = [mean("cc", byCos, cos), mean("ss", bySin, sin), mean("cs", byCos, sin)];
  const sc = e.transpose("sc/Transpose", cs, [0, 1, 3, 2]);
  const total = (name: string, values: string) =>
    e.node("ReduceSum", `${name}/ReduceSum`, [values, e.graph.int64([3])], { attributes: { keepdims: 1 } });
  return {
    difference: {
      real: e.node("Add", "difference/real/Add", [cc, ss]),
      imaginary: e.node("Sub", "difference/imaginary/Sub", [sc, cs]),
    },
    sum: {
      real: e.node("Sub", "sum/real/Sub", [cc, ss]),
      imaginary: e.node("Add", "sum/imaginary/Add", [sc, cs]),
    },
    single: { real: total("single/real", byCos), imaginary: total("single/imaginary", bySin) },
  };
}

/** Cosines and sines of every distance, `[length, r/2]`. */
function emitTables(e: Emitter, rope: RopeParameters, length: number) {
  const { inverseFrequencies } = ropeFrequencies(rope, length);
  const tables = ropeTables({ inverseFrequencies, length });
  const table = (name: "cos" | "sin") => e.float32s(name, [length, tables.width], tables[name]);
  return { cos: table("cos"), sin: table("sin") };
}
