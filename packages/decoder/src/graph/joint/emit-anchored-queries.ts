import type { AttentionWeights } from "../../model/decoder-weights.js";
import type { CachePart } from "../attention-values.js";
import { emitSlice } from "../emit-slice.js";
import type { Emitter } from "../emitter.js";
import type { Anchors } from "./anchors.js";
import type { ChunkLevel } from "./chunk-levels.js";
import type { JointReaders } from "./emit-readers.js";
import { jointShape } from "./joint-shape.js";

export declare namespace emitAnchoredQueries {
  interface Options {
    readonly weights: AttentionWeights;
    readonly readers: JointReaders;
    readonly anchors: Anchors;
    /** Large grids first. */
    readonly levels: readonly ChunkLevel[];
    readonly padding: number;
    /** The parts that latents are cached in, all of one size. */
    readonly parts: readonly CachePart[];
  }
}

/**
 * What one query of each head, `[B, 1, H * d]` before the rotation, is set against the latents of each chunk: for each part
 * of the latents, of `w` numbers, `[1, B * groups, N, H / groups * w]` for N runs of the finest level's slots.
 *
 * A query at distance t from the start of a chunk reads pair (a, b) as `cos t (a E_a + b E_b) + sin t (a E_b - b E_a)`,
 * with the rows `E_a` and `E_b` of the reader. The brackets do not depend on the chunk, so one product of distances and
 * brackets gives all chunks of a level. A coarse level's part is that of all finer runs inside it.
 */
export function emitAnchoredQueries(
  e: Emitter,
  queries: string,
  options: emitAnchoredQueries.Options,
): readonly string[] {
  const { weights, levels } = options;
  const { heads, kvHeads, headDim, scale } = weights;
  const scaled = e.node("Mul", "scale/Mul", [queries, e.scalar(scale)]);
  const byHead = e.reshape("heads/Reshape", scaled, [0, kvHeads, heads / kvHeads, headDim]);
  const unturned = emitUnturnedPart(e.at("unturned"), byHead, options);
  const finest = levels.at(-1);
  if (finest === undefined) return emitParts(e.at("unturned"), unturned!, options);
  const brackets = emitBrackets(e.at("pairs"), byHead, options);
  const bracketsOf = ({ start, end }: ChunkLevel, at: Emitter) =>
    levels.length === 1 ? brackets : emitSlice(at.at("brackets"), brackets, 2, 2 * start, 2 * end);
  const add = (sum: Sum | undefined, level: ChunkLevel, own: string, at: Emitter): Sum => {
    const part = at.node("MatMul", "MatMul", [distancesOf(level, options), own]);
    return { level, value: sum === undefined ? part : emitNested(at, sum, { level, value: part }, options) };
  };
  const start: Sum | undefined = unturned === undefined ? undefined : { level: undefined, value: unturned };
  const coarse = levels.slice(0, -1).reduce((sum: Sum | undefined, level) => {
    const at = e.at(`level.${level.grid}.${level.start}`);
    return add(sum, level, bracketsOf(level, at), at);
  }, start);
  // The finest level is the largest by far: its parts are never together, so that they need not be taken apart.
  const at = e.at(`level.${finest.grid}.${finest.start}`);
  const finestBrackets = emitParts(at.at("brackets"), bracketsOf(finest, at), options);
  const coarseParts = coarse && emitParts(at.at("coarse"), coarse.value, options);
  return options.parts.map((name, index) => {
    const sum = coarse && { ...coarse, value: coarseParts![index]! };
    return add(sum, finest, finestBrackets[index]!, at.at(name)).value;
  });
}

/** The part of a query that runs of a level's slots read, `[.., N, X]`; a single run where there is no level. */
interface Sum {
  readonly level: ChunkLevel | undefined;
  readonly value: string;
}

const distancesOf = (level: ChunkLevel, { weights, anchors, padding }: emitAnchoredQueries.Options): string =>
  anchors.distances(weights.rope!, level, padding);

/** The parts of what has them on its first axis. */
function emitParts(
  e: Emitter,
  value: string,
  { parts }: Pick<emitAnchoredQueries.Options, "parts">,
): readonly string[] {
  if (parts.length === 1) return [value];
  const outputs = parts.map((name) => `${e.path}/${name}/output_0`);
  return e.graph.nodeWithOutputs("Split", [value], outputs, {
    name: `${e.path}/Split`,
    attributes: { axis: 0, num_outputs: parts.length },
  });
}

/** Numbers that do not turn have one endless chunk: `[parts, B * groups, 1, X]`, or nothing where all turn. */
function emitUnturnedPart(
  e: Emitter,
  queries: string,
  options: emitAnchoredQueries.Options,
): string | undefined {
  const { weights, readers } = options;
  const { rope, headDim } = weights;
  const rotaryDim = rope?.rotaryDim ?? 0;
  if (rotaryDim === headDim) return undefined;
  const rest = rotaryDim === 0 ? queries : emitSlice(e, queries, 3, rotaryDim, headDim);
  const read = e.node("MatMul", "MatMul", [rest, readers.unturnedQueries()]);
  return emitPartsApart(e, read, options, 1);
}

/** The brackets of all pairs, `[parts, B * groups, rotaryDim, X]`: two rows for each pair. */
function emitBrackets(e: Emitter, queries: string, options: emitAnchoredQueries.Options): string {
  const { weights, readers } = options;
  const { heads, kvHeads, rope } = weights;
  const pairs = rope!.rotaryDim / 2;
  const sides = emitPairSides(e, queries, weights);
  const rows = e.reshape("rows/Reshape", sides, [0, kvHeads * pairs, 2 * (heads / kvHeads), 2]);
  const brackets = e.node("MatMul", "brackets/MatMul", [rows, readers.queryPairs()]);
  return emitPartsApart(e.at("brackets"), brackets, options, 2 * pairs);
}

/**
 * `[B, Hkv, rotaryDim / 2, 2 G, 2]`: for each pair of each of the G query heads that read a KV head, `(a, b)` and then
 * `(-b, a)`.
 */
function emitPairSides(
  e: Emitter,
  queries: string,
  { heads, kvHeads, rope, headDim }: AttentionWeights,
): string {
  const [readers, half] = [heads / kvHeads, rope!.rotaryDim / 2];
  const turning = 2 * half === headDim ? queries : emitSlice(e, queries, 3, 0, 2 * half);
  const split = e.reshape("Reshape", turning, [0, kvHeads, readers, 2, half]);
  const sides = e.transpose("Transpose", split, [0, 1, 4, 2, 3]);
  const quarter = e.floats("quarter_turn", [2, 2], Float32Array.of(0, 1, -1, 0));
  const turned = e.node("MatMul", "quarter_turn/MatMul", [sides, quarter]);
  return e.node("Concat", "Concat", [sides, turned], { attributes: { axis: 3 } });
}

/** `[B, Hkv * rows, G, r]` to `[parts, B * groups, rows, H / groups * w]`. */
function emitPartsApart(
  e: Emitter,
  read: string,
  options: emitAnchoredQueries.Options,
  rows: number,
): string {
  const { weights, parts } = options;
  const { heads, kvHeads } = weights;
  const { heads: groups, size: rank } = jointShape(weights);
  const [count, width] = [parts.length, rank / parts.length];
  const split = e.reshape("parts/split/Reshape", read, [
    -1,
    kvHeads / groups,
    rows,
    heads / kvHeads,
    count,
    width,
  ]);
  const apart = e.transpose("parts/Transpose", split, [4, 0, 2, 1, 3, 5]);
  return e.reshape("parts/Reshape", apart, [count, -1, rows, readWidth(options)]);
}

/** The part of a level, and that of the run of the coarser level which each of its runs lies in. */
function emitNested(
  e: Emitter,
  coarse: Sum,
  { level, value }: { readonly level: ChunkLevel; readonly value: string },
  options: emitAnchoredQueries.Options,
): string {
  if (coarse.level === undefined || coarse.level.grid === level.grid)
    return e.node("Add", "Add", [coarse.value, value]);
  // The cache is padded to whole coarser runs, so that adding repeats.
  const width = readWidth(options);
  const outer = e.node("Unsqueeze", "outer/Unsqueeze", [coarse.value, e.graph.int64([3])]);
  const inner = e.reshape("inner/Reshape", value, [0, 0, -1, coarse.level.grid / level.grid, width]);
  return e.reshape("Reshape", e.node("Add", "Add", [outer, inner]), [0, 0, -1, width]);
}

/** Numbers that the query heads of a group are set against one part of its latents with. */
function readWidth({ weights, parts }: Pick<emitAnchoredQueries.Options, "weights" | "parts">): number {
  const { heads: groups, size: rank } = jointShape(weights);
  return (weights.heads / groups) * (rank / parts.length);
}
