import { int64Value, tensorValue } from "@kvfold/onnx";
import type { Emitter } from "./emitter.js";
import type { PositionNeeds, Positions } from "./positions.js";
import { emitRopeTables } from "./rope-tables.js";
import { emitScoreBias } from "./score-bias.js";

/** Positions of one calibration window: a batch of one, `length` tokens from position 0, no padding. */
export function emitStaticPositions(root: Emitter, length: number, needs: PositionNeeds): Positions {
  const e = root.at("positions");
  const range = Array.from({ length }, (_, index) => index);
  const index = e.graph.constant("positions/index", int64Value(range));
  const ids = () => e.graph.constant("positions/ids", int64Value(range, [1, length]));
  const plain = needs.attention === "plain";
  return {
    positionIds: needs.rope && ids(),
    keyPositionIds: ids,
    rope: needs.rope && emitRopeTables(e, needs.rope),
    lengths: plain ? undefined : emitLengths(e, length),
    scoreBias: plain
      ? emitScoreBias(e, { queryIndex: index, keyIndex: index, attentionMask: undefined }, needs)
      : undefined,
  };
}

function emitLengths(e: Emitter, length: number) {
  const int32 = (value: number, dims: readonly number[]) =>
    tensorValue("int32", dims, new Uint8Array(Int32Array.of(value).buffer));
  return {
    lastKey: e.graph.constant("positions/last_key", int32(length - 1, [1])),
    total: e.graph.constant("positions/total", int32(length, [])),
  };
}
