import { fromBinary } from "@bufbuild/protobuf";
import { type GraphProto, type ModelProto, ModelProtoSchema } from "onnx-buf";
import { OnnxError } from "./onnx-error.js";

const utf8 = /*@__PURE__*/ new TextDecoder("utf-8", { ignoreBOM: true });

/** Text of bytes. What is not UTF-8 becomes U+FFFD: operators outside ONNX may keep any bytes in a string. */
export const textOf = (bytes: Uint8Array): string => utf8.decode(bytes);

/** A model that has a graph. */
export interface DecodedModel extends ModelProto {
  graph: GraphProto;
}

/** The text file that a clone without git-lfs has in place of a large file begins with this. */
const LFS_POINTER = "version https://git-lfs";

/**
 * The protobuf form of a model.
 *
 * @param caller - Begins the messages of errors.
 * @throws {OnnxError} `malformed-model` when the bytes are not an ONNX model.
 */
export function decodeModel(caller: string, bytes: Uint8Array): DecodedModel {
  const model = decode(caller, bytes);
  const { graph } = model;
  if (graph !== undefined) return Object.assign(model, { graph });
  throw new OnnxError("malformed-model", `${caller}: the file holds no graph; is it ONNX?`);
}

function decode(caller: string, bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    const isPointer = textOf(bytes.subarray(0, LFS_POINTER.length)) === LFS_POINTER;
    const found = isPointer
      ? "this is a Git LFS pointer; run git lfs pull in its folder to fetch the file itself"
      : "the bytes are not an ONNX model (truncated or another format)";
    throw new OnnxError("malformed-model", `${caller}: ${found}`, { cause });
  }
}
