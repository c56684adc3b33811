import { int64Value, tensorValue } from "@kvfold/onnx";
import type { RopeParameters } from "@kvfold/rope";
import type { Emitter } from "./emitter.js";
import { memoise, once } from "./memoise.js";
import { numbered } from "./numbered.js";
import { biasKey, type Positions, type ScoreBiasNeeds } from "./positions.js";
import { emitChunkTables, emitRopeTables } from "./rope-tables.js";
import type { ChunkPart } from "./rotation.js";
import { emitScoreBias } from "./score-bias.js";

export declare namespace emitStaticPositions {
  interface Options {
    /** Tokens of a window, from position 0, without padding. */
    readonly length: number;
    /** Windows: 1 unless given. */
    readonly batch?: number | undefined;
    /** How many of the last queries score biases are for: all unless given. */
    readonly lastQueries?: number;
  }
}

/** Positions of windows of one length. Rotations are those that the decoder gives a text of this length. */
export function emitStaticPositions(
  root: Emitter,
  { length, batch = 1, lastQueries = length }: emitStaticPositions.Options,
): Positions {
  const e = root.at("positions");
  const range = Array.from({ length }, (_, index) => index);
  const index = once(() => e.graph.constant("positions/index", int64Value(range)));
  const queries = once(() =>
    lastQueries === length
      ? index()
      : e.graph.constant("positions/queries", int64Value(range.slice(length - lastQueries))),
  );
  const places = Array.from({ length: batch }, () => range).flat();
  const ids = once(() => e.graph.constant("positions/ids", int64Value(places, [batch, length])));
  const tables = memoise<RopeParameters, ReturnType<typeof emitRopeTables>>(JSON.stringify, (rope, count) =>
    emitRopeTables(numbered(e, count), rope, length),
  );
  const chunkTables = memoise<
    readonly [RopeParameters, readonly number[], ChunkPart],
    ReturnType<typeof emitChunkTables>
  >(JSON.stringify, ([rope, chunks, part], count) =>
    emitChunkTables(e.at(`chunks.${count}`), rope, { chunks, part, length }),
  );
  const rotation = (rope: RopeParameters) => ({ ...tables(rope), rows: ids() });
  return {
    positionIds: ids,
    rotation,
    relativeRotation: rotation,
    chunkRotation: (rope, chunks, part) => ({ ...chunkTables([rope, chunks, part]), rows: ids() }),
    anchors: undefined,
    lengths: once(() => emitLengths(e, length, batch)),
    scoreBias: memoise<ScoreBiasNeeds, string>(biasKey, (needs, count) => {
      const positions = { queryIndex: queries(), keyIndex: index(), attentionMask: undefined };
      return emitScoreBias(numbered(e, count), positions, needs);
    }),
  };
}

function emitLengths(e: Emitter, length: number, batch: number) {
  const int32 = (value: number, dims: readonly number[]) =>
    tensorValue("int32", dims, new Uint8Array(new Int32Array(dims[0] ?? 1).fill(value).buffer));
  return {
    lastKey: e.graph.constant("positions/last_key", int32(length - 1, [batch])),
    total: e.graph.constant("positions/total", int32(length, [])),
  };
}
