import { create } from "@bufbuild/protobuf";
import {
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "onnx-buf";
import { type DataType, dataTypeCode } from "./data-type.js";
import { int64 } from "./int64.js";

/** The protobuf form of a graph input or output: name, element type, dimensions (a string is symbolic). */
export function valueInfo(name: string, type: DataType, dims: readonly (number | string)[]): ValueInfoProto {
  const tensor = create(TypeProto_TensorSchema, {
    elemType: dataTypeCode(type),
    shape: create(TensorShapeProtoSchema, { dim: dims.map((dim) => dimension(name, dim)) }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: "tensorType", value: tensor } }),
  });
}

const dimension = (name: string, dim: number | string) =>
  create(TensorShapeProto_DimensionSchema, {
    value:
      typeof dim === "number"
        ? { case: "dimValue", value: int64(`dimension of ${name}`, dim) }
        : { case: "dimParam", value: dim },
  });
