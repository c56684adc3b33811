import { encodeFloats } from "@kvfold/safetensors";
import { cacheCodings } from "./cache-coding.js";
import type { CacheSlot, CacheTensor } from "./cache-layout.js";
import type { Tensor } from "./port.js";
import { type CodedRows, decodeRows, encodeRows } from "./quantised-rows.js";
import { floatsOf } from "./tensors.js";

/** The memory of one layer: tensors `[1, heads, capacity, size]`, one for each of `slots`. */
interface LayerMemory {
  readonly slots: readonly CacheTensor[];
  readonly tensors: readonly Tensor[];
  readonly capacity: number;
}

/** Numbers of a row of a part's heads. */
export const rowSize = ({ size, quantised }: CacheSlot): number =>
  quantised === undefined ? size : size * cacheCodings[quantised.precision].perByte;

/** The first rows `[tokens, n]` of a head of keys, values or latents: a view where they are float32. */
export function readRows(layer: LayerMemory, part: CacheSlot, head: number, tokens: number): Float32Array {
  if (part.quantised === undefined) {
    const start = head * layer.capacity * part.size;
    return floatsOf(tensorOf(layer, part), start, start + tokens * part.size);
  }
  return decodeRows(codedRows(layer, part, head, tokens), cacheCodings[part.quantised.precision]);
}

/** Puts rows in the place of the first ones. Of quantised rows those are coded anew that differ. */
export function writeRows(layer: LayerMemory, part: CacheSlot, head: number, rows: Float32Array): void {
  if (part.quantised === undefined) {
    writeFloats(tensorOf(layer, part), rows, head * layer.capacity * part.size);
    return;
  }
  const size = rowSize(part);
  const coding = cacheCodings[part.quantised.precision];
  const before = codedRows(layer, part, head, rows.length / size);
  const known = decodeRows(before, coding);
  const coded = encodeRows(rows, size, coding);
  for (const [token] of before.scales.entries()) {
    if (isSame(rows, known, token * size, size)) continue;
    before.scales[token] = coded.scales[token]!;
    before.codes.set(coded.codes.subarray(token * part.size, (token + 1) * part.size), token * part.size);
  }
}

/** Views of the first rows of a head. */
function codedRows(layer: LayerMemory, part: CacheSlot, head: number, tokens: number): CodedRows {
  const start = head * layer.capacity;
  const codes = tensorOf(layer, part).data as unknown as Uint8Array;
  const scales = tensorOf(layer, part.quantised!.scales).data as unknown as Uint16Array;
  return {
    codes: codes.subarray(start * part.size, (start + tokens) * part.size),
    scales: scales.subarray(start, start + tokens),
  };
}

const tensorOf = ({ slots, tensors }: LayerMemory, slot: CacheTensor): Tensor =>
  tensors[slots.indexOf(slot)]!;

function isSame(rows: Float32Array, others: Float32Array, start: number, count: number): boolean {
  for (let index = start; index < start + count; index++) if (rows[index] !== others[index]) return false;
  return true;
}

function writeFloats({ type, data }: Tensor, numbers: Float32Array, start: number): void {
  if (type === "float32") {
    (data as Float32Array).set(numbers, start);
    return;
  }
  const bytes = encodeFloats(numbers, "F16", { tensor: "cache" });
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  (data as unknown as Uint16Array).set(halves, start);
}
