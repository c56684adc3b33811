/** A small reader of GGUF files, written from the specification alone: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */

import { decodeFloats } from "@kvfold/safetensors";

export interface ReadGguf {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, unknown>;
  readonly tensors: ReadonlyMap<string, ReadGgufTensor>;
  readonly byteLength: number;
}

export interface ReadGgufTensor {
  /** As the file states it: rows first. */
  readonly dimensions: readonly number[];
  readonly type: number;
  /** From the start of the file. */
  readonly offset: number;
  readonly values: Float32Array;
}

const ALIGNMENT = 32;

export function readGguf(bytes: Uint8Array): ReadGguf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const skip = (count: number) => {
    at += count;
    return at - count;
  };
  const uint32 = () => view.getUint32(skip(4), true);
  const uint64 = () => Number(view.getBigUint64(skip(8), true));
  const string = () => {
    const length = uint64();
    const start = skip(length);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(start, start + length));
  };
  const value = (type: number): unknown => {
    if (type === 4) return uint32();
    if (type === 5) return view.getInt32(skip(4), true);
    if (type === 6) return view.getFloat32(skip(4), true);
    if (type === 7) return view.getUint8(skip(1)) === 1;
    if (type === 8) return string();
    if (type !== 9) throw new Error(`metadata type ${type}`);
    const [of, count] = [uint32(), uint64()];
    return Array.from({ length: count }, () => value(of));
  };
  if (new TextDecoder().decode(bytes.subarray(0, 4)) !== "GGUF") throw new Error("no GGUF file");
  skip(4);
  const version = uint32();
  const [tensorCount, entryCount] = [uint64(), uint64()];
  const metadata = new Map(Array.from({ length: entryCount }, () => [string(), value(uint32())] as const));
  const infos = Array.from({ length: tensorCount }, () => {
    const name = string();
    const dimensions = Array.from({ length: uint32() }, uint64);
    return { name, dimensions, type: uint32(), offset: uint64() };
  });
  const start = Math.ceil(at / ALIGNMENT) * ALIGNMENT;
  const tensors = infos.map(({ name, dimensions, type, offset }) => {
    const count = dimensions.reduce((product, size) => product * size, 1);
    const values = decode(bytes.subarray(start + offset), type, count);
    return [name, { dimensions, type, offset: start + offset, values }] as const;
  });
  return { version, metadata, tensors: new Map(tensors), byteLength: bytes.byteLength };
}

function decode(bytes: Uint8Array, type: number, count: number): Float32Array {
  if (type === 0) return decodeFloats(bytes.subarray(0, 4 * count), "F32");
  if (type === 1) return decodeFloats(bytes.subarray(0, 2 * count), "F16");
  if (type === 8) return decodeQ8(bytes, count);
  throw new Error(`tensor type ${type}`);
}

/** Blocks of 32: a float16 scale and 32 signed bytes. */
export function decodeQ8(bytes: Uint8Array, count: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Float32Array.from({ length: count }, (_, i) => {
    const block = 34 * Math.floor(i / 32);
    const [scale] = decodeFloats(bytes.subarray(block, block + 2), "F16");
    return scale! * view.getInt8(block + 2 + (i % 32));
  });
}
