/** Little-endian values one after another, in a buffer that grows. */
export interface ByteWriter {
  readonly length: number;
  uint8(value: number): void;
  uint32(value: number): void;
  int32(value: number): void;
  uint64(value: number): void;
  float32(value: number): void;
  /** UTF-8 bytes after their count, without a zero at the end. */
  string(value: string): void;
  /** Adds zeros until the length is a multiple of `alignment`. */
  pad(alignment: number): void;
  bytes(): Uint8Array;
}

const FIRST_CAPACITY = 2 ** 16;

export function createByteWriter(): ByteWriter {
  const encoder = new TextEncoder();
  let buffer = new Uint8Array(FIRST_CAPACITY);
  let view = new DataView(buffer.buffer);
  let length = 0;
  /** Makes room for `count` bytes and returns where they go. */
  const take = (count: number): number => {
    if (length + count > buffer.length) {
      const larger = new Uint8Array(Math.max(2 * buffer.length, length + count));
      larger.set(buffer);
      buffer = larger;
      view = new DataView(buffer.buffer);
    }
    length += count;
    return length - count;
  };
  const writer: ByteWriter = {
    get length() {
      return length;
    },
    uint8(value) {
      const at = take(1);
      view.setUint8(at, value);
    },
    uint32(value) {
      const at = take(4);
      view.setUint32(at, value, true);
    },
    int32(value) {
      const at = take(4);
      view.setInt32(at, value, true);
    },
    uint64(value) {
      const at = take(8);
      view.setBigUint64(at, BigInt(value), true);
    },
    float32(value) {
      const at = take(4);
      view.setFloat32(at, value, true);
    },
    string(value) {
      const bytes = encoder.encode(value);
      writer.uint64(bytes.length);
      const at = take(bytes.length);
      buffer.set(bytes, at);
    },
    pad(alignment) {
      take(-length & (alignment - 1));
    },
    bytes: () => buffer.subarray(0, length),
  };
  return writer;
}
