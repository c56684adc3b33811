import { decodeFloats, encodeFloats } from "@kvfold/safetensors";
import { type CacheCoding, groupRotation, SMALLEST_SCALE } from "./cache-coding.js";

/** Rows of a head of a quantised cache: codes `[T, bytes]` and a float16 scale for each, as bits. */
export interface CodedRows {
  readonly codes: Uint8Array;
  readonly scales: Uint16Array;
}

/** Rows `[T, n]` as numbers. */
export function decodeRows({ codes, scales }: CodedRows, coding: CacheCoding): Float32Array {
  const { zeroPoint, isRotated } = coding;
  const unpacked = unpack(codes, codes.length / scales.length, coding);
  const factors = decodeHalves(scales);
  const size = unpacked.length / scales.length;
  const rows = new Float32Array(unpacked.length);
  // Loops here and below: a callback for each number takes several times as long, and a cache has millions of them.
  for (let row = 0, at = 0; row < factors.length; row++)
    for (let column = 0; column < size; column++, at++)
      rows[at] = (unpacked[at]! - zeroPoint) * factors[row]!;
  return isRotated ? rotate(rows, transposedRotation(size)) : rows;
}

/** The reverse: rows `[T, n]` as codes and scales, as a decoder graph makes them. */
export function encodeRows(rows: Float32Array, size: number, coding: CacheCoding): CodedRows {
  const flat = coding.isRotated ? rotate(rows, rotation(size)) : rows;
  const scales = encodeHalves(exactScales(flat, size, coding));
  const factors = decodeHalves(scales);
  const codes = new Uint8Array(rows.length);
  for (let row = 0, at = 0; row < factors.length; row++)
    for (let column = 0; column < size; column++, at++) codes[at] = codeOf(flat[at]! / factors[row]!, coding);
  return { codes: pack(codes, size, coding), scales };
}

/** The scale of each row before it is rounded to float16. */
function exactScales(rows: Float32Array, size: number, { largest }: CacheCoding): Float32Array {
  const scales = new Float32Array(rows.length / size);
  for (let row = 0, at = 0; row < scales.length; row++) {
    let most = 0;
    for (let column = 0; column < size; column++, at++) most = Math.max(most, Math.abs(rows[at]!));
    scales[row] = Math.max(most / largest, SMALLEST_SCALE);
  }
  return scales;
}

/** The code of a number in units of its scale: a whole byte, or four bits in the upper half of one. */
function codeOf(steps: number, { zeroPoint, perByte }: CacheCoding): number {
  if (perByte === 1) return roundToEven(steps) + zeroPoint;
  return 16 * Math.min(Math.max(roundToEven((steps + zeroPoint) / 16), 0), 15);
}

/** As ONNX's Round: halves go to the even number. */
function roundToEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** A byte for each number; of four bits the upper half of one. A row has its first half in the lower halves of its bytes. */
function unpack(codes: Uint8Array, bytes: number, { perByte }: CacheCoding): Uint8Array {
  if (perByte === 1) return codes;
  const unpacked = new Uint8Array(2 * codes.length);
  for (let start = 0; start < codes.length; start += bytes)
    for (let index = start; index < start + bytes; index++) {
      unpacked[start + index] = codes[index]! << 4;
      unpacked[start + index + bytes] = codes[index]! & 0xf0;
    }
  return unpacked;
}

function pack(unpacked: Uint8Array, size: number, { perByte }: CacheCoding): Uint8Array {
  if (perByte === 1) return unpacked;
  const bytes = size / 2;
  const codes = new Uint8Array(unpacked.length / 2);
  for (let start = 0; start < codes.length; start += bytes)
    for (let index = start; index < start + bytes; index++)
      codes[index] = (unpacked[start + index]! >> 4) | unpacked[start + index + bytes]!;
  return codes;
}

/** Rows `[T, n]` times a matrix `[n, n]`. */
function rotate(rows: Float32Array, matrix: Float32Array): Float32Array {
  const size = Math.sqrt(matrix.length);
  const rotated = new Float32Array(rows.length);
  for (let start = 0; start < rows.length; start += size)
    for (let column = 0; column < size; column++) {
      let sum = 0;
      for (let row = 0; row < size; row++) sum += rows[start + row]! * matrix[row * size + column]!;
      rotated[start + column] = sum;
    }
  return rotated;
}

const rotations = new Map<number, Float32Array>();

function rotation(size: number): Float32Array {
  const matrix = rotations.get(size) ?? groupRotation(size);
  rotations.set(size, matrix);
  return matrix;
}

function transposedRotation(size: number): Float32Array {
  const matrix = rotation(size);
  return Float32Array.from(matrix, (_, index) => matrix[(index % size) * size + Math.floor(index / size)]!);
}

const decodeHalves = (halves: Uint16Array): Float32Array =>
  decodeFloats(new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength), "F16");

function encodeHalves(numbers: Float32Array): Uint16Array {
  const bytes = encodeFloats(numbers, "F16", { tensor: "cache" });
  return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
}
