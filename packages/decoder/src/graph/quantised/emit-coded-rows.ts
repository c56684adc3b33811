import type { CacheShape } from "../../model/decoder-weights.js";
import type { CacheNames, CachePart } from "../attention-values.js";
import type { Emitter } from "../emitter.js";
import { emitSplitHeads } from "../split-heads.js";
import type { CodedRows } from "./coded-rows.js";
import { codedShape } from "./coded-shape.js";
import { emitEightBits } from "./emit-eight-bits.js";
import { emitFourBits } from "./emit-four-bits.js";
import { emitRotatedGroups } from "./emit-group-rotation.js";
import { emitGroups, emitUngrouped } from "./emit-groups.js";
import { emitFloat32, emitGraphFloat } from "./emit-widths.js";
import { scaleName } from "./quantised-form.js";

/** New rows `[B, S, heads * size]` as outputs of the graph, codes and scales, beside the past. */
export function emitCodedRows(
  e: Emitter,
  rows: string,
  size: CacheShape,
  cache: CacheNames,
  part: CachePart,
): CodedRows {
  const shape = codedShape(size, cache.coding!);
  const { coding } = shape;
  const groups = emitGroups(e.at("groups"), emitSplitHeads(e, rows, size), shape);
  const numbers = emitRotatedGroups(e, emitFloat32(e.at("numbers"), groups), shape);
  const emitCodes = coding.perByte === 1 ? emitEightBits : emitFourBits;
  const { centred, bytes, scales } = emitCodes(e.at("codes"), numbers, coding);
  const scaled = scaleName(part, coding);
  emitOutput(e.at("codes"), bytes, cache.present(part));
  emitOutput(e.at("scales"), scales, cache.present(scaled));
  const decoded = e.node("Mul", "decoded/Mul", [centred, e.cast("scales/Cast", scales, "float32")]);
  const fresh = emitGraphFloat(e.at("decoded"), emitUngrouped(e.at("fresh"), decoded, shape));
  return { shape, past: cache.past(part), pastScales: cache.past(scaled), fresh };
}

const emitOutput = (e: Emitter, value: string, name: string): unknown =>
  e.graph.nodeWithOutputs("Identity", [value], [name], { name: `${e.path}/Identity` });
