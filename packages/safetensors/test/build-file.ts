import type { ByteSource } from "../src/index.js";

/** A file from the text of its header, whatever it says: for hostile headers. */
export function buildFile(header: string | Uint8Array, dataBytes = 0, declaredBytes?: bigint): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.byteLength + dataBytes);
  new DataView(file.buffer).setBigUint64(0, declaredBytes ?? BigInt(text.byteLength), true);
  file.set(text, 8);
  return file;
}

/** The header of one tensor `w`, with fields replaced. */
export function headerOf(fields: Record<string, unknown>): string {
  return JSON.stringify({ w: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields } });
}

/** A source that notes which ranges are read. */
export function countingSource(bytes: Uint8Array): ByteSource & { readonly reads: [number, number][] } {
  const reads: [number, number][] = [];
  return {
    byteLength: bytes.byteLength,
    reads,
    read: async (start, end) => {
      reads.push([start, end]);
      return bytes.subarray(start, end);
    },
  };
}
