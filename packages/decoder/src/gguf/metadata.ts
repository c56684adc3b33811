/** Types of metadata values that kvfold writes, with their codes in GGUF version 3. */
export const metadataTypes = {
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
} as const;

/** A metadata value of a GGUF file. */
export type MetadataValue = MetadataScalar | MetadataArray;

export type MetadataScalar =
  | { readonly type: "uint32" | "int32" | "float32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string };

export type MetadataArray =
  | { readonly type: "array"; readonly of: "int32" | "float32"; readonly values: readonly number[] }
  | { readonly type: "array"; readonly of: "string"; readonly values: readonly string[] };

/** Metadata of a GGUF file by key, in the order of the file. */
export type Metadata = Readonly<Record<string, MetadataValue>>;

export const uint32 = (value: number): MetadataValue => ({ type: "uint32", value });
export const float32 = (value: number): MetadataValue => ({ type: "float32", value });
export const flag = (value: boolean): MetadataValue => ({ type: "bool", value });
export const text = (value: string): MetadataValue => ({ type: "string", value });
export const int32s = (values: readonly number[]): MetadataValue => ({ type: "array", of: "int32", values });
export const float32s = (values: readonly number[]): MetadataValue => ({
  type: "array",
  of: "float32",
  values,
});
export const texts = (values: readonly string[]): MetadataValue => ({ type: "array", of: "string", values });
