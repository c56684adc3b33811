import type { RopeParameters } from "@kvfold/rope";
import { emitDecoderRope } from "./emit-decoder-rope.js";
import type { Emitter } from "./emitter.js";
import { emitAnchors } from "./joint/emit-anchors.js";
import { emitChunkRotation } from "./joint/emit-chunk-rotation.js";
import { memoise, once } from "./memoise.js";
import type { Positions, ScoreBiasNeeds } from "./positions.js";
import type { ChunkPart, Rotation } from "./rotation.js";
import { emitScoreBias } from "./score-bias.js";
import { type DecoderInputs, emitTokenIds, type TokenIds } from "./token-ids.js";

/** What rotations are asked for by, as words. */
type RotatedBy = "positions" | "new places" | "all places";

/** Positions of a decoder with a KV cache, from its inputs; rotation tables cover `maxPositions` tokens. */
export function emitDynamicPositions(root: Emitter, inputs: DecoderInputs, maxPositions: number): Positions {
  const e = root.at("positions");
  const ids = emitTokenIds(e, inputs);
  const rows: Readonly<Record<RotatedBy, () => string>> = {
    positions: () => ids.positions(),
    "new places": () => ids.realPlaces("new"),
    "all places": () => ids.realPlaces("all"),
  };
  const textLength = once(() => emitTextLength(e.at("text"), ids.positions()));
  const ropeOf = memoise(JSON.stringify as (rope: RopeParameters) => string, (rope, index) =>
    emitDecoderRope(numbered(e, index), { rope, maxPositions, textLength }),
  );
  const rotations = memoise<readonly [RopeParameters, RotatedBy], Rotation>(
    JSON.stringify,
    ([rope, by], index) => ropeOf(rope)(e.at(`rotation.${index}`), rows[by]()),
  );
  const chunkRotations = memoise<readonly [RopeParameters, readonly number[], ChunkPart], Rotation>(
    JSON.stringify,
    ([rope, chunks, part], index) => {
      const tokens = part === "start" ? "all" : "new";
      const options = { rope, chunks, part, tablesOf: ropeOf(rope), rows: ids.indices(tokens) };
      return emitChunkRotation(e.at(`chunks.${index}`), ids.slots(tokens), options);
    },
  );
  return {
    positionIds: () => ids.positions(),
    rotation: (rope) => rotations([rope, "positions"]),
    relativeRotation: (rope, tokens) => rotations([rope, `${tokens} places`]),
    chunkRotation: (rope, chunks, part) => chunkRotations([rope, chunks, part]),
    anchors: emitAnchors(e.at("anchors"), ids, ropeOf),
    lengths: once(() => emitLengths(e, inputs.attentionMask, ids)),
    scoreBias: memoise<ScoreBiasNeeds, string>(biasKey, (needs, index) => {
      const positions = {
        queryIndex: ids.slots("new"),
        keyIndex: ids.slots("all"),
        attentionMask: inputs.attentionMask,
      };
      return emitScoreBias(numbered(e, index), positions, needs);
    }),
  };
}

/** Most models need one of everything, which then has a plain name. */
export const numbered = (e: Emitter, index: number): Emitter => (index === 0 ? e : e.at(String(index)));

export const biasKey = ({ window, alibiSlopes }: ScoreBiasNeeds): string =>
  JSON.stringify([window ?? null, alibiSlopes ?? null]);

/** int64 scalar: the last position of the batch and one more. */
function emitTextLength(e: Emitter, positionIds: string): string {
  const last = e.node("ReduceMax", "last/ReduceMax", [positionIds], { attributes: { keepdims: 0 } });
  return e.node("Add", "length/Add", [last, e.graph.int64([1], [])]);
}

/** GroupQueryAttention counts keys by sequence: right padding only, as in every graph that uses it. */
function emitLengths(e: Emitter, attentionMask: string, ids: TokenIds) {
  const count = e.node("ReduceSum", "count/ReduceSum", [attentionMask, e.graph.int64([1])], {
    attributes: { keepdims: 0 },
  });
  const lastKey = e.cast(
    "last_key/Cast",
    e.node("Sub", "last_key/Sub", [count, e.graph.int64([1])]),
    "int32",
  );
  return { lastKey, total: e.cast("total/Cast", ids.count("all"), "int32") };
}
