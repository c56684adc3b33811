/** A length-delimited field of protobuf; numbers below 16, contents below 2^14 bytes. */
export const field = (number: number, ...parts: readonly (Uint8Array | string)[]): Uint8Array => {
  const bytes = parts.flatMap((part) => [
    ...(typeof part === "string" ? new TextEncoder().encode(part) : part),
  ]);
  return Uint8Array.of(number * 8 + 2, 0x80 | (bytes.length % 128), bytes.length >> 7, ...bytes);
};

/** A tensor whose bytes lie in another file. */
export const externalTensor = (location: string, offset: number, length: number): Uint8Array =>
  Uint8Array.of(
    ...[
      ["location", location],
      ["offset", String(offset)],
      ["length", String(length)],
    ].flatMap(([key, value]) => [...field(13, field(1, key!), field(2, value!))]),
  );
