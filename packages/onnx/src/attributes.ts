import { create } from "@bufbuild/protobuf";
import { type AttributeProto, AttributeProtoSchema, AttributeProto_AttributeType as Kind } from "onnx-buf";
import { int64 } from "./int64.js";
import { OnnxError } from "./onnx-error.js";
import { tensorProto } from "./tensor-proto.js";
import type { TensorValue } from "./tensor-value.js";

/** A float attribute. A bare number is an int attribute, so floats say that they are. */
export interface FloatAttribute {
  readonly float: number;
}

/** A list of floats. A bare list of numbers is a list of ints. */
export interface FloatsAttribute {
  readonly floats: readonly number[];
}

/** Value of a node attribute: int, float, string, a list of ints or floats, or a tensor. */
export type AttributeValue =
  | number
  | FloatAttribute
  | string
  | readonly number[]
  | FloatsAttribute
  | TensorValue;

/** Marks a number as a float attribute. */
export const float = (value: number): FloatAttribute => ({ float: value });

/** Marks a list of numbers as a list of floats. */
export const floats = (values: readonly number[]): FloatsAttribute => ({ floats: values });

const isList = (value: AttributeValue): value is readonly number[] => Array.isArray(value);

/**
 * The protobuf form of one attribute.
 *
 * @param owner - Names the node in errors.
 * @throws {OnnxError} `invalid-graph` for numbers that the attribute's type cannot hold.
 */
export function attributeProto(owner: string, name: string, value: AttributeValue): AttributeProto {
  const what = `${owner}: attribute ${name}`;
  if (typeof value === "number")
    return create(AttributeProtoSchema, { name, type: Kind.INT, i: int(what, value) });
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: Kind.STRING, s: utf8(value) });
  if (isList(value)) {
    const ints = value.map((item) => int(what, item));
    return create(AttributeProtoSchema, { name, type: Kind.INTS, ints });
  }
  if ("float" in value)
    return create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: float32(what, value.float) });
  if ("floats" in value) {
    const list = value.floats.map((item) => float32(what, item));
    return create(AttributeProtoSchema, { name, type: Kind.FLOATS, floats: list });
  }
  return create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: tensorProto("", value, undefined) });
}

/** A copy, since protobuf's type wants an ArrayBuffer of its own. */
const utf8 = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(text));

function int(what: string, value: number): bigint {
  const hint = Number.isFinite(value) ? " (float and floats make attributes of floats)" : "";
  return int64(`${what}${hint}`, value);
}

/** Protobuf would fail for finite numbers that float32 cannot hold, without naming the attribute. */
function float32(what: string, value: number): number {
  if (!Number.isFinite(value) || Number.isFinite(Math.fround(value))) return value;
  throw new OnnxError("invalid-graph", `${what}: expected a number that float32 can hold, got ${value}`);
}
