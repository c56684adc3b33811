import { emitDecoderRope } from "./emit-decoder-rope.js";
import type { Emitter } from "./emitter.js";
import { emitKeyPositions } from "./key-positions.js";
import { memoise, once } from "./memoise.js";
import type { Positions, Rotation, ScoreBiasNeeds } from "./positions.js";
import { emitScoreBias } from "./score-bias.js";

/** The decoder inputs that positions are read from. */
export interface DecoderInputs {
  /** int64 `[B, S]`. */
  readonly inputIds: string;
  /** int64 `[B, T]`, T counting the cached tokens too. */
  readonly attentionMask: string;
  /** int64 `[B, S]`. */
  readonly positionIds: string | undefined;
}

/** Positions of a decoder with a KV cache, from its inputs; rotation tables cover `maxPositions` tokens. */
export function emitDynamicPositions(root: Emitter, inputs: DecoderInputs, maxPositions: number): Positions {
  const e = root.at("positions");
  const positionIds = () => inputs.positionIds!;
  const keyPositionIds = once(() => emitKeyPositions(e.at("key"), inputs.attentionMask));
  const textLength = once(() => emitTextLength(e.at("text"), positionIds()));
  const ropeOf = memoise(
    JSON.stringify as (rope: Parameters<Positions["rotation"]>[0]) => string,
    (rope, index) => emitDecoderRope(numbered(e, index), { rope, maxPositions, textLength }),
  );
  const rotations = memoise<readonly [Parameters<Positions["rotation"]>[0], "new" | "all"], Rotation>(
    JSON.stringify,
    ([rope, tokens], index) => {
      const ids = tokens === "new" ? positionIds() : keyPositionIds();
      return ropeOf(rope)(e.at(`rotation.${index}`), ids);
    },
  );
  return {
    positionIds,
    rotation: (rope, tokens) => rotations([rope, tokens]),
    lengths: once(() => emitLengths(e, inputs.attentionMask)),
    scoreBias: memoise<ScoreBiasNeeds, string>(biasKey, (needs, index) =>
      emitMaskedBias(numbered(e, index), inputs, needs),
    ),
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
function emitLengths(e: Emitter, attentionMask: string) {
  const count = e.node("ReduceSum", "count/ReduceSum", [attentionMask, e.graph.int64([1])], {
    attributes: { keepdims: 0 },
  });
  const lastKey = e.cast(
    "last_key/Cast",
    e.node("Sub", "last_key/Sub", [count, e.graph.int64([1])]),
    "int32",
  );
  return { lastKey, total: e.cast("total/Cast", emitLength(e, "total", attentionMask), "int32") };
}

function emitMaskedBias(e: Emitter, inputs: DecoderInputs, needs: ScoreBiasNeeds): string {
  const total = emitLength(e, "total", inputs.attentionMask);
  const queries = emitLength(e, "queries", inputs.inputIds);
  const one = e.graph.int64([1], []);
  const keyIndex = e.node("Range", "key/Range", [e.graph.int64([0], []), total, one]);
  const first = e.node("Sub", "query/Sub", [total, queries]);
  const queryIndex = e.node("Range", "query/Range", [first, total, one]);
  return emitScoreBias(e, { queryIndex, keyIndex, attentionMask: inputs.attentionMask }, needs);
}

/** int64 scalar: the second dimension of `value`. */
function emitLength(e: Emitter, name: string, value: string): string {
  const shape = e.node("Shape", `${name}/Shape`, [value]);
  return e.node("Gather", `${name}/Gather`, [shape, e.graph.int64([1], [])], { attributes: { axis: 0 } });
}
