/** The element types whose size this package knows, as headers spell them. */
export type Dtype =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "F8_E4M3"
  | "F8_E5M2"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U64"
  | "U32"
  | "U16"
  | "U8"
  | "BOOL";

const sizes: Readonly<Record<Dtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

/** Bytes per element. */
export function dtypeBytes(dtype: Dtype): number {
  return sizes[dtype];
}

/** Whether `dtype` is one whose size this package knows. */
export const isDtype = (dtype: string): dtype is Dtype => Object.hasOwn(sizes, dtype);

/** Capitals, digits and underscores, as in `F8_E8M0`: names that newer versions of the format may add look alike. */
const dtypeName = /^[A-Z][A-Z\d_]{0,31}$/;

/** Whether `value` may name an element type, known here or not. */
export const isDtypeName = (value: unknown): value is string =>
  typeof value === "string" && dtypeName.test(value);
