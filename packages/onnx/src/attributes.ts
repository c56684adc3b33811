import { create } from "@bufbuild/protobuf";
import { type AttributeProto, AttributeProtoSchema, AttributeProto_AttributeType as Kind } from "onnx-buf";

/** A float attribute. A bare number is an int attribute, so floats say that they are. */
export interface FloatAttribute {
  readonly float: number;
}

/** Value of a node attribute: int, float, string or a list of ints. */
export type AttributeValue = number | FloatAttribute | string | readonly number[];

/** Marks a number as a float attribute. */
export const float = (value: number): FloatAttribute => ({ float: value });

const isList = (value: AttributeValue): value is readonly number[] => Array.isArray(value);

/** The protobuf form of one attribute. */
export function attributeProto(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === "number")
    return create(AttributeProtoSchema, { name, type: Kind.INT, i: BigInt(value) });
  if (typeof value === "string") {
    return create(AttributeProtoSchema, { name, type: Kind.STRING, s: utf8(value) });
  }
  if (isList(value)) return create(AttributeProtoSchema, { name, type: Kind.INTS, ints: value.map(BigInt) });
  return create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: value.float });
}

/** Operator attributes are ASCII by the ONNX specification, so code units are bytes. */
const utf8 = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(text, (character) => character.charCodeAt(0));
