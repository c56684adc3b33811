import { create } from "@bufbuild/protobuf";
import {
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from "onnx-buf";
import { dataTypeCode } from "./data-type.js";
import { requireInside } from "./external-location.js";
import { int64 } from "./int64.js";
import type { TensorValue } from "./tensor-value.js";
import type { StoredTensor } from "./weight-store.js";

/** The protobuf form of a tensor whose bytes are inside the model. */
export const tensorProto = (name: string, value: TensorValue): TensorProto =>
  // Runtimes read `rawData` only; the copy gives it an ArrayBuffer of its own.
  create(TensorProtoSchema, { ...tensorHead(name, value), rawData: Uint8Array.from(value.bytes) });

/** The protobuf form of a tensor whose bytes lie outside. */
export function storedTensorProto(name: string, { location, ...tensor }: StoredTensor): TensorProto {
  requireInside("invalid-graph", `weight ${name}`, location.path);
  const entry = (key: string, text: string) => create(StringStringEntryProtoSchema, { key, value: text });
  return create(TensorProtoSchema, {
    ...tensorHead(name, tensor),
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: [
      entry("location", location.path),
      entry("offset", String(location.offset)),
      entry("length", String(location.byteLength)),
    ],
  });
}

const tensorHead = (name: string, { type, dims }: Pick<TensorValue, "type" | "dims">) => ({
  name,
  dataType: dataTypeCode(type),
  dims: dims.map((dim) => int64(`dimension of ${name}`, dim)),
});
