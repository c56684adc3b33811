import type { GraphView, Initializer } from "@kvfold/onnx";
import { decodeFloats } from "@kvfold/safetensors";
import type { FolderSource } from "../checkpoint/checkpoint.js";
import { openGraphFile } from "../checkpoint/graph-file.js";
import { DecoderError } from "../decoder-error.js";
import { transposeFloats } from "../model/transpose.js";
import { dequantiseRows } from "../quantisation/dequantise-rows.js";

/** The weights of a decoder graph in a folder, by name. */
export interface StoredTensors {
  readonly view: GraphView;
  has(name: string): boolean;
  /** Dimensions and numbers of a float tensor, float16 as float32. */
  read(name: string): Promise<StoredFloats>;
  /** The weight of a linear map, `[inputs, outputs]`, whatever it is stored in. */
  readMatrix(module: string): Promise<StoredFloats>;
  close(): Promise<void>;
}

/** Numbers of a tensor. */
export interface StoredFloats {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Opens `onnx/<fileName>` of a folder and the external data beside it. */
export async function openTensors(folder: FolderSource, fileName: string): Promise<StoredTensors> {
  const file = await openGraphFile(folder, `onnx/${fileName}`);
  const { name: path, view } = file;
  const find = (name: string): Initializer => {
    const tensor = view.initializers.get(name);
    if (tensor !== undefined) return tensor;
    throw malformed(path, `has no weight ${name}; it is not a decoder that this version of kvfold wrote`);
  };
  const read: StoredTensors["read"] = async (name) => {
    const tensor = find(name);
    const { type, dims } = tensor;
    if (type !== "float32" && type !== "float16")
      throw malformed(path, `holds ${name} as ${type}; expected float32 or float16`);
    return { dims, data: decodeFloats(await file.bytesOf(tensor), type === "float32" ? "F32" : "F16") };
  };
  return {
    view,
    has: (name) => view.initializers.has(name),
    read,
    async readMatrix(module) {
      const codes = `${module}.MatMul.weight_Q4`;
      if (!view.initializers.has(codes)) return read(`${module}.MatMul.weight`);
      const { data: scales } = await read(`${module}.MatMul.weight_scales`);
      const { inputs, outputs } = productOf(view, codes);
      const rows = dequantiseRows(
        { rows: outputs, columns: inputs },
        await file.bytesOf(find(codes)),
        scales,
      );
      return { dims: [inputs, outputs], data: transposeFloats(rows, outputs, inputs) };
    },
    close: () => file.close(),
  };
}

/** Sizes of the product that reads a matrix in four bits: padding hides them in its own dimensions. */
function productOf(
  { nodes }: GraphView,
  codes: string,
): { readonly inputs: number; readonly outputs: number } {
  const node = nodes.find(({ inputs }) => inputs[1] === codes);
  return { inputs: node!.attributes.K as number, outputs: node!.attributes.N as number };
}

const malformed = (file: string, problem: string): DecoderError =>
  new DecoderError("malformed-checkpoint", `${file} ${problem}`);
