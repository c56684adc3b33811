import { emitDecoderRotations, emitRopes } from "./decoder-rotations.js";
import type { Emitter } from "./emitter.js";
import { emitAnchors } from "./joint/emit-anchors.js";
import { memoise, once } from "./memoise.js";
import { numbered } from "./numbered.js";
import { biasKey, type Positions, type ScoreBiasNeeds } from "./positions.js";
import { emitScoreBias } from "./score-bias.js";
import { type DecoderInputs, emitTokenIds, type TokenIds } from "./token-ids.js";

/** Positions of a decoder with a KV cache, from its inputs; rotation tables cover `maxPositions` tokens. */
export function emitDynamicPositions(e: Emitter, inputs: DecoderInputs, maxPositions: number): Positions {
  const ids = emitTokenIds(e, inputs);
  const { ropeOf, ...rotations } = emitDecoderRotations(e, ids, emitRopes(e, ids, maxPositions));
  return {
    ...rotations,
    positionIds: () => ids.positions(),
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
