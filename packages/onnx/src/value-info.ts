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
import type { ValueDims } from "./graph-view.js";
import { int64 } from "./int64.js";

/** The protobuf form of a graph input or output: name, element type, dimensions. */
export function valueInfo(name: string, type: DataType, dims: ValueDims): ValueInfoProto {
  const shape = dims && create(TensorShapeProtoSchema, { dim: dims.map((dim) => dimension(name, dim)) });
  const tensor = create(TypeProto_TensorSchema, { elemType: dataTypeCode(type), ...(shape && { shape }) });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: "tensorType", value: tensor } }),
  });
}

function dimension(name: string, dim: number | string) {
  if (dim === "?") return create(TensorShapeProto_DimensionSchema);
  return create(TensorShapeProto_DimensionSchema, {
    value:
      typeof dim === "number"
        ? { case: "dimValue", value: int64(`dimension of ${name}`, dim) }
        : { case: "dimParam", value: dim },
  });
}
