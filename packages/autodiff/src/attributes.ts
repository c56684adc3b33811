import type { AttributeValue, GraphNode, TensorValue } from "@kvfold/onnx";

type Attributes = Pick<GraphNode, "attributes">;

/** An int attribute, or its default. */
export const intAttribute = ({ attributes }: Attributes, name: string, missing: number): number => {
  const value = attributes[name];
  return typeof value === "number" ? value : missing;
};

/** A float attribute, or its default. */
export const floatAttribute = ({ attributes }: Attributes, name: string, missing: number): number => {
  const value = attributes[name];
  return typeof value === "object" && "float" in value ? value.float : missing;
};

/** A string attribute, or its default. */
export const stringAttribute = ({ attributes }: Attributes, name: string, missing: string): string => {
  const value = attributes[name];
  return typeof value === "string" ? value : missing;
};

/** A list of ints. */
export const intsAttribute = ({ attributes }: Attributes, name: string): readonly number[] | undefined => {
  const value = attributes[name];
  return value !== undefined && isInts(value) ? value : undefined;
};

const isInts = (value: AttributeValue): value is readonly number[] => Array.isArray(value);

/** A tensor attribute. */
export const tensorAttribute = ({ attributes }: Attributes, name: string): TensorValue | undefined => {
  const value = attributes[name];
  return typeof value === "object" && "bytes" in value ? value : undefined;
};

/** An operator with its domain, as registries have it: `MatMul`, `com.microsoft:Gelu`. */
export const operatorKey = ({ operator, domain }: Pick<GraphNode, "operator" | "domain">): string =>
  domain === "" || domain === "ai.onnx" ? operator : `${domain}:${operator}`;

/** A node as messages name it. */
export const nodeLabel = ({ operator, name, outputs }: GraphNode): string =>
  name === ""
    ? `${operator} (unnamed, writes ${JSON.stringify(outputs[0] ?? "")})`
    : `${operator} ${JSON.stringify(name)}`;
