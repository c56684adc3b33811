import { TensorProto_DataType } from "onnx-buf";

/** Element types that kvfold graphs use, named as in ONNX Runtime's JavaScript API. */
export type DataType = "float32" | "float16" | "float64" | "int64" | "int32" | "uint8" | "bool";

const codes: Readonly<Record<DataType, TensorProto_DataType>> = {
  float32: TensorProto_DataType.FLOAT,
  float16: TensorProto_DataType.FLOAT16,
  float64: TensorProto_DataType.DOUBLE,
  int64: TensorProto_DataType.INT64,
  int32: TensorProto_DataType.INT32,
  uint8: TensorProto_DataType.UINT8,
  bool: TensorProto_DataType.BOOL,
};

const sizes: Readonly<Record<DataType, number>> = {
  float32: 4,
  float16: 2,
  float64: 8,
  int64: 8,
  int32: 4,
  uint8: 1,
  bool: 1,
};

/** The number that stands for `type` in an ONNX file (`TensorProto.DataType`), for attributes such as Cast's `to`. */
export const dataTypeCode = (type: DataType): number => codes[type];

/** The element type that an ONNX code stands for, or `undefined` for a type that kvfold graphs do not use. */
export const dataTypeOf = (code: number): DataType | undefined =>
  (Object.keys(codes) as DataType[]).find((type) => codes[type] === code);

/** Bytes of one element of `type`. */
export const elementBytes = (type: DataType): number => sizes[type];
