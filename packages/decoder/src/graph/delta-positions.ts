import type { RopeParameters } from "@kvfold/rope";
import { type DecoderRotations, emitDecoderRotations, emitRopes } from "./decoder-rotations.js";
import { type DeltaInputs, emitDeltaTokenIds } from "./delta-token-ids.js";
import { emitOwnTables } from "./emit-decoder-rope.js";
import type { Emitter } from "./emitter.js";
import { emitAnchors } from "./joint/emit-anchors.js";
import { memoise, once } from "./memoise.js";
import { numbered } from "./numbered.js";
import { biasKey, type Positions, type ScoreBiasNeeds } from "./positions.js";
import { emitQueryBlocks, type Standing } from "./query-blocks.js";
import type { Rotation } from "./rotation.js";
import { emitMasked, emitWithin } from "./score-bias.js";
import type { TokenIds } from "./token-ids.js";

/** Positions of a decoder whose cache says where each of its tokens stands. */
export function emitDeltaPositions(
  e: Emitter,
  declared: Omit<DeltaInputs, "pastLength">,
  maxPositions: number,
): Positions {
  const inputs = { ...declared, pastLength: once(() => e.graph.input("past_length", "int64", [])) };
  const keyPositions = once(() =>
    e.node("Concat", "key/Concat", [inputs.pastPositions, inputs.positionIds], { attributes: { axis: 1 } }),
  );
  const ids = emitDeltaTokenIds(e, inputs, keyPositions);
  const rotations = emitDecoderRotations(e, ids, emitRopes(e, ids, maxPositions));
  return {
    ...emitRowPositions(e, {
      ids,
      fresh: rotations,
      all: rotations,
      standing: () => ({ query: inputs.positionIds, key: keyPositions() }),
    }),
    positionIds: () => ids.positions(),
  };
}

interface RowPositions {
  readonly ids: TokenIds;
  /** What rotates new tokens, and what rotates all of a row. */
  readonly fresh: DecoderRotations;
  readonly all: DecoderRotations;
  readonly standing: () => Standing;
}

/** Positions of tokens whose sequences have one row of slots each, which all heads of a layer share. */
export function emitRowPositions(
  e: Emitter,
  { ids, fresh, all, standing }: RowPositions,
): Omit<Positions, "positionIds"> {
  const ownRotation = memoise<RopeParameters, Rotation>(JSON.stringify, (rope, index) =>
    emitOwnTables(e.at(`own.${index}`), all.relativeRotation(rope, "all")),
  );
  const anchors = emitAnchors(e.at("anchors"), ids, fresh.ropeOf);
  return {
    rotation: fresh.rotation,
    relativeRotation: (rope, tokens) =>
      tokens === "all" ? ownRotation(rope) : fresh.relativeRotation(rope, "new"),
    chunkRotation: (rope, chunks, part) => (part === "start" ? all : fresh).chunkRotation(rope, chunks, part),
    anchors,
    lengths: notCounted,
    parts: once(() => emitParts(e.at("parts"), ids.cachedSlots(), ids.count("new"))),
    scoreBias: memoise<ScoreBiasNeeds, string>(biasKey, (needs, index) =>
      emitDeltaBias(numbered(e, index), standing(), needs),
    ),
    blocks: emitQueryBlocks(e.at("blocks"), {
      ids,
      isStep: () => anchors.isStep(),
      standing,
      emitBias: emitDeltaBias,
    }),
  };
}

/** Only GroupQueryAttention asks for lengths, and no delta graph has it. */
export function notCounted(): never {
  throw new TypeError("a delta decoder does not count the keys of its sequences");
}

/** int64 `[2]`: how many slots the past has, and how many tokens are new. */
export function emitParts(e: Emitter, past: string, fresh: string): string {
  const vectors = [past, fresh].map((count, index) => e.reshape(`${index}/Reshape`, count, [1]));
  return e.node("Concat", "Concat", vectors, { attributes: { axis: 0 } });
}

/** Float32 `[B, 1, S, T]`, or with heads for ALiBi: a query sees tokens that are not ahead of it, within its window. */
function emitDeltaBias(e: Emitter, standing: Standing, needs: ScoreBiasNeeds): string {
  const key = e.node("Unsqueeze", "key/Unsqueeze", [standing.key, e.graph.int64([1, 2])]);
  const query = e.node("Unsqueeze", "query/Unsqueeze", [standing.query, e.graph.int64([1, 3])]);
  const real = e.node("GreaterOrEqual", "real/GreaterOrEqual", [key, e.graph.int64([0], [])]);
  const causal = e.node("LessOrEqual", "causal/LessOrEqual", [key, query]);
  const seen = e.node("And", "causal/And", [real, causal]);
  return emitMasked(e, emitWithin(e, seen, { query, key }, needs.window), needs, () => key);
}
