import { float32Value } from "@kvfold/onnx";
import type { RopeParameters } from "@kvfold/rope";
import { emitDecoderRotations } from "./decoder-rotations.js";
import { type DeltaInputs, emitDeltaTokenIds } from "./delta-token-ids.js";
import { emitOwnTables } from "./emit-decoder-rope.js";
import type { Emitter } from "./emitter.js";
import { emitAnchors } from "./joint/emit-anchors.js";
import { memoise, once } from "./memoise.js";
import { numbered } from "./numbered.js";
import { biasKey, MASKED, type Positions, type ScoreBiasNeeds } from "./positions.js";
import type { Rotation } from "./rotation.js";

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
  const { ropeOf, relativeRotation, ...rotations } = emitDecoderRotations(e, ids, maxPositions);
  const ownRotation = memoise<RopeParameters, Rotation>(JSON.stringify, (rope, index) =>
    emitOwnTables(e.at(`own.${index}`), relativeRotation(rope, "all")),
  );
  return {
    ...rotations,
    relativeRotation: (rope, tokens) =>
      tokens === "all" ? ownRotation(rope) : relativeRotation(rope, "new"),
    positionIds: () => ids.positions(),
    anchors: emitAnchors(e.at("anchors"), ids, ropeOf),
    lengths: notCounted,
    parts: once(() => emitParts(e.at("parts"), ids.cachedSlots(), ids.count("new"))),
    scoreBias: memoise<ScoreBiasNeeds, string>(biasKey, (needs, index) =>
      emitBias(numbered(e, index), { query: inputs.positionIds, key: keyPositions() }, needs),
    ),
  };
}

/** Only GroupQueryAttention asks for lengths, and no delta graph has it. */
function notCounted(): never {
  throw new TypeError("a delta decoder does not count the keys of its sequences");
}

/** int64 `[2]`: how many slots the past has, and how many tokens are new. */
function emitParts(e: Emitter, past: string, fresh: string): string {
  const vectors = [past, fresh].map((count, index) => e.reshape(`${index}/Reshape`, count, [1]));
  return e.node("Concat", "Concat", vectors, { attributes: { axis: 0 } });
}

/** Where tokens stand, int64 `[B, S]` and `[B, T]`, -1 for none. */
interface Standing {
  readonly query: string;
  readonly key: string;
}

/** Float32 `[B, 1, S, T]`, or with heads for ALiBi: 0 or the ALiBi term for keys that a query may see, else `MASKED`. */
function emitBias(e: Emitter, { query, key }: Standing, needs: ScoreBiasNeeds): string {
  const keys = e.node("Unsqueeze", "key/Unsqueeze", [key, e.graph.int64([1, 2])]);
  const queries = e.node("Unsqueeze", "query/Unsqueeze", [query, e.graph.int64([1, 3])]);
  const base = needs.alibiSlopes ? emitAlibi(e.at("alibi"), keys, needs.alibiSlopes) : e.scalar(0, "float32");
  const visible = emitVisible(e, { query: queries, key: keys }, needs.window);
  return e.node("Where", "Where", [visible, base, e.scalar(MASKED, "float32")]);
}

/** bool `[B, 1, S, T]`: a token, not ahead of the query, within its window. */
function emitVisible(e: Emitter, { query, key }: Standing, window: number | undefined): string {
  const real = e.node("GreaterOrEqual", "real/GreaterOrEqual", [key, e.graph.int64([0], [])]);
  const causal = e.node("LessOrEqual", "causal/LessOrEqual", [key, query]);
  const visible = e.node("And", "causal/And", [real, causal]);
  if (window === undefined) return visible;
  const oldest = e.node("Sub", "window/Sub", [query, e.graph.int64([window], [])]);
  return e.node("And", "window/And", [visible, e.node("Greater", "window/Greater", [key, oldest])]);
}

/**
 * ALiBi, float32 `[1, H, 1, 1] * [B, 1, 1, T]`: `slope_h * position of the key`, which is the published `-slope *
 * distance` up to a constant per query.
 */
function emitAlibi(e: Emitter, keys: string, slopes: readonly number[]): string {
  const values = float32Value([1, slopes.length, 1, 1], Float32Array.from(slopes));
  const slope = e.graph.constant("alibi.slopes", values);
  return e.node("Mul", "Mul", [e.cast("Cast", keys, "float32"), slope]);
}
