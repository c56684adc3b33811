import { toBinary } from "@bufbuild/protobuf";
import { type GraphProto, ModelProtoSchema, type ValueInfoProto } from "onnx-buf";
import type { DataType } from "./data-type.js";
import { decodeModel } from "./decode-model.js";
import type { ValueDims } from "./graph-view.js";
import { OnnxError } from "./onnx-error.js";
import { viewModel } from "./read-model.js";
import { valueInfo } from "./value-info.js";
import { valuesReadBy } from "./values-read-by.js";

export declare namespace extractModel {
  /** A value that becomes an input or output. */
  interface Value {
    readonly name: string;
    readonly type: DataType;
    /** Without them the rank is open, and ONNX Runtime finds them out. */
    readonly dims?: ValueDims;
  }
  interface Options {
    /** Values inside the model that become inputs where the outputs need them: what computes them is left out. */
    readonly inputs?: readonly Value[];
    readonly outputs: readonly Value[];
  }
}

/**
 * A part of a model: the nodes and initializers that `outputs` need, computed from `inputs` and those of the model's own
 * inputs that are needed still. Inputs that nothing needs are left out.
 *
 * @throws {OnnxError} `malformed-model` when the bytes are not an ONNX model; `invalid-graph` when it has no such value.
 */
export function extractModel(bytes: Uint8Array, { inputs = [], outputs }: extractModel.Options): Uint8Array {
  const model = decodeModel("extractModel", bytes);
  const { nodes } = viewModel(model);
  const { graph } = model;
  requireValues(graph, [...inputs, ...outputs]);
  const cut = new Set(inputs.map(({ name }) => name));
  const needed = new Set(outputs.map(({ name }) => name));
  const isNodeNeeded = nodes.map(() => false);
  for (let index = nodes.length - 1; index >= 0; index--) {
    const node = nodes[index]!;
    if (!node.outputs.some((name) => needed.has(name) && !cut.has(name))) continue;
    isNodeNeeded[index] = true;
    for (const name of valuesReadBy(node)) needed.add(name);
  }
  const isNeeded = ({ name }: { readonly name: string }) => needed.has(name);
  const isWhole = (value: { readonly name: string }) => isNeeded(value) && !cut.has(value.name);
  const declare = ({ name, type, dims }: extractModel.Value): ValueInfoProto => valueInfo(name, type, dims);
  graph.node = graph.node.filter((_, index) => isNodeNeeded[index]);
  graph.initializer = graph.initializer.filter(isWhole);
  graph.input = [...graph.input.filter(isWhole), ...inputs.filter(isNeeded).map(declare)];
  graph.valueInfo = graph.valueInfo.filter(isWhole);
  graph.output = outputs.map(declare);
  return toBinary(ModelProtoSchema, model);
}

function requireValues(graph: GraphProto, values: readonly extractModel.Value[]): void {
  const known = new Set([
    ...[...graph.input, ...graph.initializer].map(({ name }) => name),
    ...graph.node.flatMap(({ output }) => output),
  ]);
  const missing = values.find(({ name }) => !known.has(name));
  if (missing === undefined) return;
  throw new OnnxError(
    "invalid-graph",
    `extractModel: expected graph ${graph.name} to have the values that are asked for, found none called ${missing.name}`,
  );
}
