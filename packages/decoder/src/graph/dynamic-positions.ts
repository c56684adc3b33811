import type { Emitter } from "./emitter.js";
import { emitKeyPositions } from "./key-positions.js";
import type { PositionNeeds, Positions } from "./positions.js";
import { emitRopeTables } from "./rope-tables.js";
import { emitScoreBias, INT32 } from "./score-bias.js";

/** The decoder inputs that positions are read from. */
export interface DecoderInputs {
  /** int64 `[B, S]`. */
  readonly inputIds: string;
  /** int64 `[B, T]`, T counting the cached tokens too. */
  readonly attentionMask: string;
  /** int64 `[B, S]`. */
  readonly positionIds: string | undefined;
}

/** Positions of a decoder with a KV cache, from its inputs. */
export function emitDynamicPositions(root: Emitter, inputs: DecoderInputs, needs: PositionNeeds): Positions {
  const e = root.at("positions");
  const plain = needs.attention === "plain";
  return {
    positionIds: needs.rope && inputs.positionIds,
    keyPositionIds: once(() => emitKeyPositions(e.at("key"), inputs.attentionMask)),
    rope: needs.rope && emitRopeTables(e, needs.rope),
    lengths: plain ? undefined : emitLengths(e, inputs.attentionMask),
    scoreBias: plain ? emitMaskedBias(e, inputs, needs) : undefined,
  };
}

/** Nodes that several blocks share are written by the first that asks. */
function once(emit: () => string): () => string {
  let value: string | undefined;
  return () => {
    value ??= emit();
    return value;
  };
}

/** GroupQueryAttention counts keys by sequence: right padding only, as in every graph that uses it. */
function emitLengths(e: Emitter, attentionMask: string) {
  const int32 = (name: string, value: string) => e.node("Cast", name, [value], { attributes: { to: INT32 } });
  const count = e.node("ReduceSum", "count/ReduceSum", [attentionMask, e.graph.int64([1])], {
    attributes: { keepdims: 0 },
  });
  const lastKey = int32("last_key/Cast", e.node("Sub", "last_key/Sub", [count, e.graph.int64([1])]));
  return { lastKey, total: int32("total/Cast", emitLength(e, "total", attentionMask)) };
}

function emitMaskedBias(e: Emitter, inputs: DecoderInputs, needs: PositionNeeds): string {
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
