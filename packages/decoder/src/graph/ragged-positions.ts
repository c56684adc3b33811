import type { RopeParameters } from "@kvfold/rope";
import type { AttentionWeights } from "../model/decoder-weights.js";
import type { DecoderStart } from "./cache-form.js";
import { type DecoderRotations, emitDecoderRotations, emitRopes } from "./decoder-rotations.js";
import { emitParts, emitRowPositions, notCounted } from "./delta-positions.js";
import { type DeltaInputs, emitDeltaTokenIds } from "./delta-token-ids.js";
import { emitOwnTables } from "./emit-decoder-rope.js";
import type { Emitter } from "./emitter.js";
import { memoise, once } from "./memoise.js";
import { numbered } from "./numbered.js";
import { biasKey, type Positions, type RaggedBias, type ScoreBiasNeeds } from "./positions.js";
import { raggedHeads } from "./ragged-heads.js";
import type { Rotation } from "./rotation.js";
import { emitMasked, emitWithin } from "./score-bias.js";
import { emitDimension } from "./token-ids.js";

/** The inputs of a policy decoder that positions are read from, int64. */
interface RaggedInputs extends Pick<DeltaInputs, "inputIds" | "positionIds"> {
  /** Declares `[B, heads, P]` of a layer. */
  readonly pastPositions: (layer: number, weights: AttentionWeights) => string;
}

/** What all layers share. */
interface Shared {
  readonly inputs: Omit<DeltaInputs, "pastPositions">;
  readonly rotations: DecoderRotations;
  /** Scalar: number of new tokens. */
  readonly fresh: () => string;
  /** bool scalar: whether there is one. */
  readonly isStep: () => string;
  readonly freshBias: (needs: ScoreBiasNeeds, heads: number) => string;
}

/** Positions of a decoder whose layers and heads keep tokens of their own. */
export function emitRaggedPositions(
  e: Emitter,
  { pastPositions, ...declared }: RaggedInputs,
  maxPositions: number,
): Pick<DecoderStart, "positions" | "positionsOf"> {
  const inputs = { ...declared, pastLength: once(() => e.graph.input("past_length", "int64", [])) };
  // Of the tokens that all layers share only the new ones are ever asked for.
  const ids = emitDeltaTokenIds(e, { ...inputs, pastPositions: "" }, notCounted);
  const rotations = emitDecoderRotations(e, ids, emitRopes(e, ids, maxPositions));
  const shared: Shared = {
    inputs,
    rotations,
    fresh: () => ids.count("new"),
    isStep: once(() => e.node("Equal", "step/Equal", [ids.count("new"), e.graph.int64([1], [])])),
    freshBias: memoiseFreshBias(e.at("fresh"), inputs.positionIds),
  };
  return {
    positions: {
      ...rotations,
      positionIds: () => ids.positions(),
      anchors: undefined,
      lengths: notCounted,
      scoreBias: notCounted,
    },
    positionsOf(layer, weights) {
      const at = e.at(`layers.${layer}`);
      const past = pastPositions(layer, weights);
      return weights.joint === undefined
        ? emitHeadPositions(at, past, raggedHeads(weights), shared)
        : emitRunPositions(at, at.reshape("past/Reshape", past, [0, -1]), shared);
    },
  };
}

/** Positions of a layer whose heads keep tokens of their own, `past [B, heads, P]`. */
function emitHeadPositions(e: Emitter, past: string, heads: number, shared: Shared): Positions {
  const { inputs, rotations } = shared;
  const slots = once(() => emitDimension(e.at("past/length"), past, 2));
  const ownRotation = (rope: RopeParameters, kvHeads: number): Rotation => {
    const rows = emitKeyRows(e.at("keys"), past, inputs.positionIds, { heads, kvHeads });
    return emitOwnTables(e.at("own"), { ...rotations.relativeRotation(rope, "new"), rows });
  };
  return {
    ...rotations,
    relativeRotation(rope, tokens) {
      if (tokens === "new") return rotations.relativeRotation(rope, tokens);
      throw new TypeError("heads that keep tokens of their own are rotated by ragged.keyRotation");
    },
    positionIds: () => inputs.positionIds,
    anchors: undefined,
    lengths: notCounted,
    parts: once(() => emitParts(e.at("parts"), slots(), shared.fresh())),
    scoreBias: notCounted,
    ragged: {
      heads,
      isStep: shared.isStep,
      keyRotation: ownRotation,
      bias: (needs): RaggedBias => ({
        past: emitPastBias(e.at("bias"), past, heads, needs, inputs.positionIds),
        fresh: shared.freshBias(needs, heads),
      }),
    },
  };
}

/** int64 `[B * kvHeads, T]`: where the keys of each KV head stand, 0 for empty slots. */
function emitKeyRows(
  e: Emitter,
  past: string,
  fresh: string,
  { heads, kvHeads }: { readonly heads: number; readonly kvHeads: number },
): string {
  const row = e.node("Unsqueeze", "fresh/Unsqueeze", [fresh, e.graph.int64([1])]);
  const own = e.node("Expand", "fresh/Expand", [row, e.graph.int64([1, heads, 1])]);
  const all = e.node("Concat", "Concat", [past, own], { attributes: { axis: 2 } });
  const real = e.node("Max", "real/Max", [all, e.graph.int64([0], [])]);
  const column = e.node("Unsqueeze", "spread/Unsqueeze", [real, e.graph.int64([2])]);
  const spread = e.node("Expand", "spread/Expand", [column, e.graph.int64([1, 1, kvHeads / heads, 1])]);
  const total = e.node("Shape", "total/Shape", [all], { attributes: { start: 2, end: 3 } });
  const shape = e.node("Concat", "shape/Concat", [e.graph.int64([-1]), total], { attributes: { axis: 0 } });
  return e.node("Reshape", "rows/Reshape", [spread, shape]);
}

/** Float32, broadcast to `[B, heads, H / heads, S, P]`: tokens of the past are ahead of no query, but may be out of its window. */
function emitPastBias(
  e: Emitter,
  past: string,
  heads: number,
  needs: ScoreBiasNeeds,
  positionIds: string,
): string {
  const key = e.node("Unsqueeze", "key/Unsqueeze", [past, e.graph.int64([2, 3])]);
  const query = () => e.node("Unsqueeze", "query/Unsqueeze", [positionIds, e.graph.int64([1, 2, 4])]);
  const real = e.node("GreaterOrEqual", "real/GreaterOrEqual", [key, e.graph.int64([0], [])]);
  const seen = needs.window === undefined ? real : emitWithin(e, real, { query: query(), key }, needs.window);
  return emitMasked(e, seen, needs, () => key, heads);
}

/** Float32, broadcast to `[B, heads, H / heads, S, S]`, for new tokens among each other. */
function memoiseFreshBias(e: Emitter, positionIds: string): Shared["freshBias"] {
  const bias = memoise<readonly [ScoreBiasNeeds, number], string>(
    ([needs, heads]) => `${biasKey(needs)}/${heads}`,
    ([needs, heads], index) => {
      const at = numbered(e, index);
      const key = at.node("Unsqueeze", "key/Unsqueeze", [positionIds, at.graph.int64([1, 2, 3])]);
      const query = at.node("Unsqueeze", "query/Unsqueeze", [positionIds, at.graph.int64([1, 2, 4])]);
      const causal = at.node("LessOrEqual", "causal/LessOrEqual", [key, query]);
      const seen = emitWithin(at, causal, { query, key }, needs.window);
      return emitMasked(at, seen, needs, () => key, heads);
    },
  );
  return (needs, heads) => bias([needs, needs.alibiSlopes === undefined ? 1 : heads]);
}

/** Positions of a layer of joint latents, whose groups keep the same runs of slots, `past [B, P]`. */
function emitRunPositions(e: Emitter, past: string, { inputs, rotations }: Shared): Positions {
  const keyPositions = once(() =>
    e.node("Concat", "key/Concat", [past, inputs.positionIds], { attributes: { axis: 1 } }),
  );
  const counted = emitDeltaTokenIds(e, { ...inputs, pastPositions: past }, keyPositions);
  const pastSlots = once(() => emitSlots(e.at("past/slots"), past, inputs));
  const allSlots = once(() =>
    e.node("Concat", "key/slots/Concat", [pastSlots(), counted.slots("new")], { attributes: { axis: 0 } }),
  );
  const ids = {
    ...counted,
    slots: (tokens: "new" | "all") => (tokens === "new" ? counted.slots("new") : allSlots()),
    pastSlots,
  };
  return {
    ...emitRowPositions(e, {
      ids,
      fresh: rotations,
      all: emitDecoderRotations(e, ids, rotations.ropeOf),
      standing: () => ({ query: inputs.positionIds, key: keyPositions() }),
    }),
    positionIds: () => inputs.positionIds,
  };
}

/** int64 `[P]`: where tokens stand, counted from the first of the sequence; 0 for empty slots. */
function emitSlots(
  e: Emitter,
  past: string,
  { positionIds, pastLength }: Pick<DeltaInputs, "positionIds" | "pastLength">,
): string {
  const place = e.node("Gather", "newest/Gather", [
    e.reshape("newest/Reshape", positionIds, [-1]),
    e.graph.int64([0]),
  ]);
  const first = e.node("Sub", "first/Sub", [place, pastLength()]);
  const slots = e.node("Sub", "Sub", [e.reshape("Reshape", past, [-1]), first]);
  return e.node("Max", "Max", [slots, e.graph.int64([0], [])]);
}
