/** A field of a protobuf message that is a string, bytes or a message in turn. */
export interface ProtobufField {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** Wire types of the encoding (protobuf.dev/programming-guides/encoding) and the bytes that fixed ones take. */
const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [1, 8],
  [5, 4],
]);

/**
 * Walks those fields of a message that are not plain numbers. Nothing is copied: bytes are views, and weights that lie in the file are skipped.
 *
 * @throws {RangeError} when the bytes are no such message, or end too early.
 */
export function* readFields(message: Uint8Array): Generator<ProtobufField> {
  let position = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = message[position++];
      if (byte === undefined) throw new RangeError("cut short");
      // Numbers above 2^53 lose digits; none of them is a length.
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  const readBytes = (count: number): Uint8Array => {
    const bytes = message.subarray(position, position + count);
    if (bytes.length < count) throw new RangeError("cut short");
    position += count;
    return bytes;
  };
  while (position < message.length) {
    const tag = readVarint();
    const number = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (wireType === LENGTH_DELIMITED) yield { number, bytes: readBytes(readVarint()) };
    else if (wireType === VARINT) readVarint();
    else readBytes(fixedBytes(wireType));
  }
}

function fixedBytes(wireType: number): number {
  const count = FIXED_BYTES.get(wireType);
  if (count === undefined) throw new RangeError("no protobuf");
  return count;
}
