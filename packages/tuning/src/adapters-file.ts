import {
  bytesSource,
  encodeFloats,
  parseHeader,
  readFloats,
  serializeSafetensors,
  type TensorInfo,
} from "@kvfold/safetensors";
import type { Adapter, Parameter } from "./adapters.js";
import { isListOf, isText, readJson } from "./read-json.js";
import { TuningError } from "./tuning-error.js";

/** Adapters of a model, by layer, and what their products are multiplied by. */
export interface ModelAdapters {
  readonly layers: readonly (readonly Adapter[])[];
  readonly scale: number;
}

const FORMAT = "kvfold-adapters-1";

/**
 * Adapters as a safetensors file, with names and shapes as PEFT has them:
 * `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight [rank, inputs]` and `lora_B.weight [outputs, rank]`. Maps that
 * PEFT does not know, those to and from latents, are named alike; where a map has several matrices, so have A and B.
 */
export function saveAdapters({ layers, scale }: ModelAdapters): Uint8Array {
  const tensors = layers.flatMap((adapters, layer) =>
    adapters.flatMap(({ weight, down, up }) => [
      transposedTensor(tensorName(layer, weight, "A"), down),
      transposedTensor(tensorName(layer, weight, "B"), up),
    ]),
  );
  const names = JSON.stringify(layers.map((adapters) => adapters.map(({ weight }) => weight)));
  return serializeSafetensors(tensors, { format: FORMAT, scale: String(scale), names });
}

/**
 * Reads adapters that `saveAdapters` wrote.
 *
 * @throws {TuningError} `unusable-state` when the bytes hold something else.
 */
export async function loadAdapters(bytes: Uint8Array, name: string): Promise<ModelAdapters> {
  const source = bytesSource(bytes);
  const { metadata, tensors } = await parseHeader(source).catch((cause: unknown) => {
    throw unusable(name, "it cannot be read", cause);
  });
  if (metadata.format !== FORMAT)
    throw unusable(name, `expected format ${FORMAT}, found ${JSON.stringify(metadata.format)}`);
  const names = readNames(metadata.names, name);
  const scale = readScale(metadata.scale, name);
  const read = async (layer: number, weight: string, half: Half): Promise<Parameter> => {
    const tensor = tensorName(layer, weight, half);
    const info = tensors.get(tensor);
    if (info === undefined) throw unusable(name, `tensor ${tensor} is missing`);
    if (info.shape.length < 2)
      throw unusable(
        name,
        `tensor ${tensor}: expected a matrix or several, found [${info.shape.join(", ")}]`,
      );
    const values = await readFloats(source, info).catch((cause: unknown) => {
      throw unusable(name, `tensor ${tensor} cannot be read`, cause);
    });
    if (!values.every(Number.isFinite))
      throw unusable(name, `tensor ${tensor} holds numbers that are not finite`);
    const part = half === "A" ? "down" : "up";
    return transposedParameter(`${weight}.${part}`, info, values);
  };
  const layers: Adapter[][] = [];
  for (const [layer, weights] of names.entries()) {
    layers[layer] = [];
    for (const weight of weights) {
      const adapter = { weight, down: await read(layer, weight, "A"), up: await read(layer, weight, "B") };
      requireProduct(adapter, `${name}: layer ${layer}, ${weight}`);
      layers[layer].push(adapter);
    }
  }
  return { layers, scale };
}

function readNames(text: string | undefined, name: string): readonly (readonly string[])[] {
  const names = readJson(text);
  if (isListOf(names, (layer) => isListOf(layer, isText))) return names;
  throw unusable(name, `names: expected a list of weights for each layer, found ${shown(text)}`);
}

function readScale(text: string | undefined, name: string): number {
  const scale = text === undefined || text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(scale)) return scale;
  throw unusable(name, `scale: expected a number, found ${shown(text)}`);
}

const shown = (text: string | undefined): string =>
  text === undefined ? "none" : JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);

/** A and B have to be factors of a product. */
function requireProduct({ down, up }: Adapter, name: string): void {
  const outer = ({ dims }: Parameter) => dims.slice(0, -2).join();
  if (down.dims.at(-1) === up.dims.at(-2) && outer(down) === outer(up)) return;
  const sides = [down, up].map(({ dims }) => `[${dims.join(", ")}]`).join(" and ");
  throw unusable(name, `A and B have no product, turned they are ${sides}`);
}

type Half = "A" | "B";

/** Graphs call the halves of a block `attn` and `mlp`. */
const tensorName = (layer: number, weight: string, half: Half): string => {
  const module = weight.replace(/\.MatMul\.weight$/, "").replace(/^attn\./, "self_attn.");
  return `base_model.model.model.layers.${layer}.${module}.lora_${half}.weight`;
};

function transposedTensor(name: string, { dims, values }: Parameter) {
  const [rows, cols] = [dims.at(-2)!, dims.at(-1)!];
  const shape = [...dims.slice(0, -2), cols, rows];
  return { name, dtype: "F32" as const, shape, data: encodeFloats(transposed(values, rows, cols), "F32") };
}

function transposedParameter(name: string, { shape }: TensorInfo, values: Float32Array): Parameter {
  const [rows, cols] = [shape.at(-2)!, shape.at(-1)!];
  return { name, dims: [...shape.slice(0, -2), cols, rows], values: transposed(values, rows, cols) };
}

/** Each matrix of `[…, rows, cols]`, transposed. */
function transposed(values: Float32Array, rows: number, cols: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += rows * cols)
    for (let row = 0; row < rows; row++)
      for (let col = 0; col < cols; col++)
        turned[start + col * rows + row] = values[start + row * cols + col]!;
  return turned;
}

const unusable = (name: string, problem: string, cause?: unknown): TuningError =>
  new TuningError("unusable-state", `${name}: these adapters cannot be used: ${problem}; tune again`, {
    cause,
  });
