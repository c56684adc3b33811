import { emitScored, type ScoreParts, type ScoreShape } from "./emit-scored.js";
import { emitZeros } from "./emit-zeros.js";
import type { Emitter } from "./emitter.js";
import type { QueryBlocks, ScoreBiasNeeds } from "./positions.js";

export declare namespace emitScoredInTurn {
  interface Options {
    readonly blocks: QueryBlocks;
    readonly needs: ScoreBiasNeeds;
    /** int64 `[1]`: sequences of the batch. */
    readonly batch: string;
  }
}

/**
 * `emitScored` a block of queries at a time, in a loop: keys and values are there once for all of them, and scores are
 * never more than those of a block. Gives `[B, S, H * values.size]`.
 */
export function emitScoredInTurn(
  e: Emitter,
  parts: Omit<ScoreParts, "bias">,
  shape: ScoreShape,
  { blocks, needs, batch }: emitScoredInTurn.Options,
): string {
  const width = shape.heads * shape.values.size;
  const dims = ["batch_size", `${e.path}/done`, width];
  const graph = e.graph.branch(`${e.path}/block`);
  const at = e.at("block").into(graph);
  const index = graph.input(`${at.path}/index`, "int64", []);
  const goesOn = graph.input(`${at.path}/goes_on`, "bool", []);
  const done = graph.input(`${at.path}/done`, e.floatType, dims);
  const output = emitBlock(at, index, parts, shape, { blocks, needs });
  const more = at.node("Concat", "Concat", [done, output], { attributes: { axis: 1 } });
  graph.output(at.node("Identity", "goes_on/Identity", [goesOn]), "bool", []);
  graph.output(more, e.floatType, dims);
  const none = emitZeros(e.at("none"), [batch, e.graph.int64([0, width])]);
  return e.node("Loop", "Loop", [blocks.count(), "", none], {
    attributes: { body: graph.toAttribute() },
  });
}

function emitBlock(
  e: Emitter,
  index: string,
  parts: Omit<ScoreParts, "bias">,
  shape: ScoreShape,
  { blocks, needs }: Pick<emitScoredInTurn.Options, "blocks" | "needs">,
): string {
  const first = e.node("Mul", "start/Mul", [index, blocks.size()]);
  const start = e.reshape("start/Reshape", first, [1]);
  const end = e.node("Add", "end/Add", [start, blocks.size()]);
  const query = e.node("Slice", "query/Slice", [parts.query, start, end, e.graph.int64([2])]);
  const bias = blocks.bias(e.at("bias"), needs, { start, end });
  return emitScored(e, { ...parts, query, bias }, shape);
}
