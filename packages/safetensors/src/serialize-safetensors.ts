import { planHeader, requireDataBytes, type TensorLayout } from "./serialize-header.js";

/** A tensor in memory: little-endian, row-major `data` of `dtype` and `shape`. */
export interface TensorData extends TensorLayout {
  readonly data: Uint8Array;
}

/**
 * Serialises tensors to a safetensors file in memory, in the order given; equal input gives equal bytes.
 *
 * @throws {SafetensorsError} `invalid-argument` when data does not fit its shape or a name is repeated,
 * `limit-exceeded` when the header grows too large.
 * @example
 * ```ts
 * import { bytesSource, encodeFloats, parseHeader, serializeSafetensors } from "@kvfold/safetensors";
 * const data = encodeFloats(Float32Array.of(1, 2), "F32");
 * const file = serializeSafetensors([{ name: "w", dtype: "F32", shape: [2], data }]);
 * const { tensors } = await parseHeader(bytesSource(file));
 * tensors.get("w")?.shape // => [2]
 * ```
 */
export function serializeSafetensors(
  tensors: readonly TensorData[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const { bytes: header, tensorBytes } = planHeader(tensors, metadata);
  for (const [index, { name, data }] of tensors.entries()) requireDataBytes(name, data, tensorBytes[index]!);
  const file = new Uint8Array(tensorBytes.reduce((total, bytes) => total + bytes, header.byteLength));
  file.set(header);
  let offset = header.byteLength;
  for (const { data } of tensors) {
    file.set(data, offset);
    offset += data.byteLength;
  }
  return file;
}
