import { bytesSource, parseHeader, serializeSafetensors, type TensorData } from "@kvfold/safetensors";

/** The two files of a checkpoint that depend on its number of layers. */
export interface CheckpointFiles {
  readonly config: string;
  readonly weights: Uint8Array;
}

/** The layer that a tensor belongs to: `model.layers.3.mlp.up_proj.weight`, `transformer.h.3.mlp.dense_4h_to_h.bias`. */
const LAYER_OF_TENSOR = /\b(?:layers|h)\.(\d+)\./;

/** Cuts a checkpoint down to its first layers: where no test depends on their number, a few take less time. */
export async function firstLayers(
  { config, weights }: CheckpointFiles,
  count: number,
): Promise<CheckpointFiles> {
  const { tensors } = await parseHeader(bytesSource(weights));
  const kept: TensorData[] = [];
  for (const [name, { dtype, shape, start, end }] of tensors)
    if (Number(LAYER_OF_TENSOR.exec(name)?.[1] ?? 0) < count)
      kept.push({ name, dtype: dtype as TensorData["dtype"], shape, data: weights.subarray(start, end) });
  return { config: withLayers(config, count), weights: serializeSafetensors(kept) };
}

function withLayers(config: string, count: number): string {
  const fields = JSON.parse(config) as Record<string, unknown>;
  const field = "n_layer" in fields ? "n_layer" : "num_hidden_layers";
  return JSON.stringify({ ...fields, [field]: count });
}
