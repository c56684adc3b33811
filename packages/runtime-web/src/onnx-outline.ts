import { RuntimeError } from "@kvfold/runtime";
import { checkLocation } from "./external-location.js";
import { readFields } from "./protobuf-fields.js";

/** What is to be known of an ONNX file before ONNX Runtime sees it. */
export interface OnnxOutline {
  /** Names of the graph's outputs. */
  readonly outputs: readonly string[];
  /** Files beside the model that hold its weights: by name, the bytes that the tensors in them reach to. */
  readonly externalBytes: ReadonlyMap<string, number>;
  /** The file beside it with the graph for a runtime that owns the cache, where its metadata name one. */
  readonly deltaGraph?: string | undefined;
}

/** Messages of onnx.proto3 in which tensors lie, and the fields that lead from one to the next. */
type Message = "model" | "graph" | "node" | "attribute";
const FIELDS: Readonly<Record<Message, Readonly<Record<number, Message | "tensor">>>> = {
  model: { 7: "graph" },
  graph: { 1: "node", 5: "tensor" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph" },
};
const MODEL_GRAPH = 7;
const MODEL_METADATA = 14;
const DELTA_GRAPH = "delta_graph";
const GRAPH_OUTPUT = 12;
const VALUE_NAME = 1;
const TENSOR_EXTERNAL_DATA = 13;
const ENTRY_KEY = 1;
const ENTRY_VALUE = 2;

/**
 * Reads which files a model's weights lie in, how long these must be, and what the graph's outputs are called. The
 * graph itself says so, whoever exported it, so that nobody has to be asked, and no server probed.
 *
 * @param file - The model's name, for errors.
 * @throws {RuntimeError} `model-unreadable` when the bytes are no ONNX file, or one that was cut short, or when weights
 *   would lie outside the model's folder.
 */
export function readOnnxOutline(bytes: Uint8Array, file: string): OnnxOutline {
  const externalBytes = new Map<string, number>();
  try {
    visitTensors("model", bytes, (tensor) => noteExternalData(tensor, externalBytes));
    const fields = [...readFields(bytes)];
    const graph = fields.find(({ number }) => number === MODEL_GRAPH)?.bytes;
    if (graph === undefined) throw new RangeError("no graph in it");
    const metadata = fields
      .filter(({ number }) => number === MODEL_METADATA)
      .map((entry) => readEntry(entry.bytes));
    const deltaGraph = new Map(metadata).get(DELTA_GRAPH);
    for (const location of [...externalBytes.keys(), ...(deltaGraph === undefined ? [] : [deltaGraph])])
      checkLocation(location, file);
    return { outputs: readOutputs(graph), externalBytes, deltaGraph };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const found = isGitLfsPointer(bytes)
      ? "a Git LFS pointer: run git lfs pull where it lies"
      : `${bytes.length} bytes that are none (${cause.message}): check the address, or get the file again`;
    throw new RuntimeError("model-unreadable", `expected an ONNX model in ${file}, found ${found}`, {
      cause,
    });
  }
}

/** The text file that a clone without git-lfs has in place of a large file. */
const LFS_POINTER = "version https://git-lfs";
const isGitLfsPointer = (bytes: Uint8Array): boolean =>
  new TextDecoder().decode(bytes.subarray(0, LFS_POINTER.length)) === LFS_POINTER;

function visitTensors(
  message: Message | "tensor",
  bytes: Uint8Array,
  visit: (tensor: Uint8Array) => void,
): void {
  if (message === "tensor") visit(bytes);
  else {
    for (const field of readFields(bytes)) {
      const next = FIELDS[message][field.number];
      if (next !== undefined) visitTensors(next, field.bytes, visit);
    }
  }
}

/** A tensor's `external_data` is a list of keys and values: `location`, and in decimal `offset` and `length`. */
function noteExternalData(tensor: Uint8Array, externalBytes: Map<string, number>): void {
  const entries = new Map<string, string>();
  for (const { number, bytes } of readFields(tensor)) {
    if (number === TENSOR_EXTERNAL_DATA) entries.set(...readEntry(bytes));
  }
  const location = entries.get("location");
  if (location === undefined) return;
  const end = readCount(entries.get("offset")) + readCount(entries.get("length"));
  externalBytes.set(location, Math.max(end, externalBytes.get(location) ?? 0));
}

/** @throws {RangeError} for anything but a whole number. */
function readCount(text = "0"): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(count)) return count;
  throw new RangeError("no number of bytes where weights lie");
}

const readEntry = (entry: Uint8Array): [key: string, value: string] => [
  readText(entry, ENTRY_KEY),
  readText(entry, ENTRY_VALUE),
];

function readOutputs(graph: Uint8Array): readonly string[] {
  const outputs: string[] = [];
  for (const { number, bytes } of readFields(graph)) {
    if (number === GRAPH_OUTPUT) outputs.push(readText(bytes, VALUE_NAME));
  }
  return outputs;
}

function readText(message: Uint8Array, wanted: number): string {
  for (const { number, bytes } of readFields(message)) {
    if (number === wanted) return new TextDecoder().decode(bytes);
  }
  return "";
}
