import { joined } from "./mutate-bytes.js";

/** An entry of a header as the file has it. */
export interface TensorEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** A file taken apart: the fuzzer reads and writes the format on its own, without the checks of the product. */
export interface SafetensorsParts {
  readonly entries: Record<string, TensorEntry>;
  readonly data: Uint8Array;
}

/** Takes apart a file that is known to be right. */
export function splitSafetensors(bytes: Uint8Array): SafetensorsParts {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    TensorEntry
  >;
  delete header.__metadata__;
  return { entries: header, data: bytes.subarray(8 + length) };
}

/** Puts a file together, whatever its header says; `length` in place of the true one. */
export function joinSafetensors(header: string | Uint8Array, data: Uint8Array, length?: bigint): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  return joined(prefix, text, data);
}
