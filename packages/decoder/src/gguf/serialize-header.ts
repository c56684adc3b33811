/**
 * The head of a GGUF file, version 3: everything before the tensor data.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */

import { type ByteWriter, createByteWriter } from "./byte-writer.js";
import {
  type Metadata,
  type MetadataArray,
  type MetadataScalar,
  type MetadataValue,
  metadataTypes,
} from "./metadata.js";
import { ALIGNMENT, type PlacedTensor } from "./tensor-info.js";
import { tensorTypes } from "./tensor-type.js";

/** "GGUF" in ASCII, read as a little-endian number. */
const MAGIC = 0x46554747;
const VERSION = 3;

/** Magic, version, counts, metadata and tensor infos, padded to where the data of the first tensor begins. */
export function serializeHeader(metadata: Metadata, tensors: readonly PlacedTensor[]): Uint8Array {
  const writer = createByteWriter();
  const entries = Object.entries(metadata);
  writer.uint32(MAGIC);
  writer.uint32(VERSION);
  writer.uint64(tensors.length);
  writer.uint64(entries.length);
  for (const [key, value] of entries) writeEntry(writer, key, value);
  for (const tensor of tensors) writeTensorInfo(writer, tensor);
  writer.pad(ALIGNMENT);
  return writer.bytes();
}

function writeEntry(writer: ByteWriter, key: string, value: MetadataValue): void {
  writer.string(key);
  writer.uint32(metadataTypes[value.type]);
  if (value.type === "array") writeArray(writer, value);
  else writeScalar(writer, value);
}

function writeArray(writer: ByteWriter, value: MetadataArray): void {
  writer.uint32(metadataTypes[value.of]);
  writer.uint64(value.values.length);
  for (const item of value.values) writeScalar(writer, { type: value.of, value: item } as MetadataScalar);
}

function writeScalar(writer: ByteWriter, scalar: MetadataScalar): void {
  if (scalar.type === "bool") writer.uint8(scalar.value ? 1 : 0);
  else if (scalar.type === "string") writer.string(scalar.value);
  else writer[scalar.type](scalar.value);
}

function writeTensorInfo(writer: ByteWriter, { name, shape, type, offset }: PlacedTensor): void {
  writer.string(name);
  writer.uint32(shape.length);
  for (const size of shape.toReversed()) writer.uint64(size);
  writer.uint32(tensorTypes[type].code);
  writer.uint64(offset);
}
