import { create } from "@bufbuild/protobuf";
import {
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from "onnx-buf";
import { dataTypeCode } from "./data-type.js";
import { type ExternalLocation, requireInside } from "./external-location.js";
import { int64 } from "./int64.js";
import type { TensorValue } from "./tensor-value.js";

/** The protobuf form of a tensor: its bytes inside the model, or where they lie outside. */
export function tensorProto(
  name: string,
  { type, dims, bytes }: TensorValue,
  location: ExternalLocation | undefined,
): TensorProto {
  const head = {
    name,
    dataType: dataTypeCode(type),
    dims: dims.map((dim) => int64(`dimension of ${name}`, dim)),
  };
  // Runtimes read `rawData` only; the copy gives it an ArrayBuffer of its own.
  if (location === undefined) return create(TensorProtoSchema, { ...head, rawData: Uint8Array.from(bytes) });
  requireInside("invalid-graph", `weight ${name}`, location.path);
  const entry = (key: string, text: string) => create(StringStringEntryProtoSchema, { key, value: text });
  return create(TensorProtoSchema, {
    ...head,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: [
      entry("location", location.path),
      entry("offset", String(location.offset)),
      entry("length", String(location.byteLength)),
    ],
  });
}
