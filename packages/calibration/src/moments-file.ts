import { type Moments, mergeMoments } from "@kvfold/linalg";
import { type ByteSource, parseHeader, serializeSafetensors, type TensorInfo } from "@kvfold/safetensors";
import { CalibrationError } from "./calibration-error.js";
import type { StageMoments } from "./stage-result.js";

/** Moments of all blocks of a model, measured on the same tokens, and a label that says on which. */
export interface ModelMoments {
  readonly layers: readonly StageMoments[];
  /** What they were measured on and with, as plain text by key. */
  readonly description: Readonly<Record<string, string>>;
}

const FORMAT = "kvfold-moments-1";

/**
 * Moments as a safetensors file: float64 `layers.<i>.<name>.gram [W, W]` and `.sum [W]`, int64-valued `.count [1]`
 * (as F64, exact below 2^53).
 */
export function saveMoments({ layers, description }: ModelMoments): Uint8Array {
  const tensors = layers.flatMap((stage, layer) =>
    Object.entries(stage).flatMap(([name, { width, count, sum, gram }]) => [
      float64Tensor(`layers.${layer}.${name}.gram`, [width, width], gram),
      float64Tensor(`layers.${layer}.${name}.sum`, [width], sum),
      float64Tensor(`layers.${layer}.${name}.count`, [1], Float64Array.of(count)),
    ]),
  );
  return serializeSafetensors(tensors, { ...description, format: FORMAT });
}

const float64Tensor = (name: string, shape: readonly number[], values: Float64Array) => ({
  name,
  dtype: "F64" as const,
  shape,
  data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
});

/**
 * Reads moments that `saveMoments` wrote.
 *
 * @throws {CalibrationError} `malformed-moments` when the file holds something else.
 * @throws {SafetensorsError} when it is not a safetensors file.
 */
export async function loadMoments(source: ByteSource): Promise<ModelMoments> {
  const { tensors, description } = await readHeader(source);
  const layers = new Map<number, Record<string, Moments>>();
  for (const [key, info] of tensors) {
    const match = /^layers\.(\d+)\.(.+)\.gram$/.exec(key);
    if (match === null) continue;
    const layer = Number(match[1]);
    const moments = await loadOne(source, tensors, key.slice(0, -".gram".length), info);
    layers.set(layer, { ...layers.get(layer), [match[2]!]: moments });
  }
  return { layers: inOrder(layers), description };
}

/** Only the description of moments, without reading them. Throws as `loadMoments`. */
export const describeMoments = async (source: ByteSource): Promise<ModelMoments["description"]> =>
  (await readHeader(source)).description;

async function readHeader(source: ByteSource) {
  const { tensors, metadata } = await parseHeader(source);
  const { format, ...description } = metadata;
  if (format === FORMAT) return { tensors, description };
  throw new CalibrationError(
    "malformed-moments",
    `expected a ${FORMAT} file, found format ${JSON.stringify(format)}`,
  );
}

/** Layers 0, 1, 2, …: a number far beyond the others would otherwise be a list that fills the memory. */
function inOrder(layers: ReadonlyMap<number, StageMoments>): readonly StageMoments[] {
  return Array.from({ length: layers.size }, (_, layer) => {
    const stage = layers.get(layer);
    if (stage !== undefined) return stage;
    throw new CalibrationError(
      "malformed-moments",
      `expected moments of layers 0 to ${layers.size - 1}, found none of layer ${layer}; was a model's file cut in parts?`,
    );
  });
}

async function loadOne(
  source: ByteSource,
  tensors: ReadonlyMap<string, TensorInfo>,
  prefix: string,
  { shape }: TensorInfo,
): Promise<Moments> {
  const width = shape[0] ?? 0;
  const read = async (part: string, size: number) => {
    const info = tensors.get(`${prefix}.${part}`);
    if (info === undefined || info.dtype !== "F64" || info.end - info.start !== 8 * size) {
      throw new CalibrationError(
        "malformed-moments",
        `tensor ${prefix}.${part} is missing or has another shape or type`,
      );
    }
    // The copy aligns the numbers, whatever their offset in the file.
    return new Float64Array(new Uint8Array(await source.read(info.start, info.end)).buffer);
  };
  const [count] = await read("count", 1);
  return { width, count: count!, sum: await read("sum", width), gram: await read("gram", width * width) };
}

/**
 * Adds moments that were measured on different tokens (shards of a calibration set, other machines).
 *
 * @throws {CalibrationError} `moments-mismatch` when they are not of the same model and names.
 */
export function mergeModelMoments(parts: readonly ModelMoments[]): ModelMoments {
  const [first, ...rest] = parts;
  if (first === undefined)
    throw new CalibrationError("moments-mismatch", "mergeModelMoments: nothing to merge");
  return rest.reduce(
    (total, part) => ({ description: total.description, layers: mergeLayers(total.layers, part.layers) }),
    first,
  );
}

function mergeLayers(a: readonly StageMoments[], b: readonly StageMoments[]): readonly StageMoments[] {
  if (a.length !== b.length) {
    throw new CalibrationError(
      "moments-mismatch",
      `one part has ${a.length} layers, another ${b.length}; merge moments of one model only`,
    );
  }
  return a.map((stage, layer) => mergeStage(stage, b[layer]!, layer));
}

function mergeStage(a: StageMoments, b: StageMoments, layer: number): StageMoments {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(
    names.map((name) => {
      const [one, other] = [a[name], b[name]];
      if (one === undefined || other === undefined || one.width !== other.width) {
        throw new CalibrationError(
          "moments-mismatch",
          `layer ${layer}: ${name} is missing or has another width in one part; merge moments of one model only`,
        );
      }
      return [name, mergeMoments(one, other)];
    }),
  );
}
