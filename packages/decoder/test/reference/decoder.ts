/**
 * A decoder in plain float64 loops, straight from the description of its blocks: no graph and no plan of kvfold is used.
 * What it computes for unfolded models is held against Hugging Face transformers (golden-logits.test.ts).
 */
import type { Checkpoint } from "../../src/index.js";
import { loadBlock, loadEmbedding, loadHead } from "../../src/index.js";
import type { HalfNorms } from "../../src/model/block-spec.js";
import type { BlockWeights, MlpWeights, NormWeights } from "../../src/model/decoder-weights.js";
import { runAttention } from "./attention.js";
import { embed } from "./embed.js";
import { activations, addRows, applyLinear, applyNorm, mapRows, type Rows, softCap } from "./layers.js";

/** What a layer attends to: finished keys and values, `[T, Hkv * d]` each. */
export interface Attended {
  readonly keys: Rows;
  readonly values: Rows;
}

/** What a hook sees of a layer. */
export interface Seen extends Attended {
  /** After norm and rotation, `[T, H * d]`. */
  readonly queries: Rows;
  /** `[T, Hkv * d]`: as they enter the rotation; the keys themselves where there is none. */
  readonly keysBeforeRope: Rows;
  /** Takes keys on from there as the model does. */
  readonly rotate: (keys: Rows) => Rows;
}

/** Sees what layer `layer` attends with and to, and may replace keys and values. */
export type AttendedHook = (layer: number, seen: Seen) => Attended;

/** Logits `[T, V]` of a checkpoint for one sequence. */
export async function referenceLogits(
  checkpoint: Checkpoint,
  tokens: ArrayLike<number>,
  hook: AttendedHook = (_, attended) => attended,
): Promise<Rows> {
  const { shape } = checkpoint.config;
  const embedding = await loadEmbedding(checkpoint);
  let x = embed(embedding, shape.vocabSize, Array.from(tokens));
  for (let layer = 0; layer < shape.layers; layer++)
    x = runBlock(await loadBlock(checkpoint, layer), x, (seen) => hook(layer, seen));
  const head = await loadHead(checkpoint);
  const normed = optionalNorm(x, head.norm);
  const projected = head.projection === undefined ? normed : applyLinear(normed, head.projection);
  const table = head.table ?? embedding.table;
  const logits = applyTable(projected, table, head.bias);
  return head.softCap === undefined ? logits : mapRows(logits, (value) => softCap(value, head.softCap!));
}

function runBlock(block: BlockWeights, x: Rows, hook: (seen: Seen) => Attended): Rows {
  const attended = runAttention(block.attention, optionalNorm(x, block.attentionNorms.input), hook);
  const middle = addHalf(x, attended, block.attentionNorms);
  const mlpInput = block.arrangement === "parallel" ? x : middle;
  return addHalf(middle, runMlp(block.mlp, optionalNorm(mlpInput, block.mlpNorms.input)), block.mlpNorms);
}

function runMlp({ activation, gate, up, down }: MlpWeights, x: Rows): Rows {
  const act = activations[activation];
  const raised = applyLinear(x, up);
  if (gate === undefined) return applyLinear(mapRows(raised, act), down);
  const gated = applyLinear(x, gate);
  return applyLinear(
    mapRows(gated, (value, index) => act(value) * raised.data[index]!),
    down,
  );
}

const addHalf = (x: Rows, added: Rows, { output, residual }: HalfNorms<NormWeights>): Rows =>
  optionalNorm(addRows(x, optionalNorm(added, output)), residual);

const optionalNorm = (x: Rows, norm: NormWeights | undefined): Rows =>
  norm === undefined ? x : applyNorm(x, norm);

/** `y[v] = x . table[v] + bias[v]`. */
function applyTable(x: Rows, table: Float32Array, bias: Float32Array | undefined): Rows {
  const outputs = table.length / x.width;
  const data = new Float64Array(x.count * outputs);
  for (let row = 0; row < x.count; row++) {
    for (let output = 0; output < outputs; output++) {
      let sum = bias?.[output] ?? 0;
      for (let i = 0; i < x.width; i++) sum += x.data[row * x.width + i]! * table[output * x.width + i]!;
      data[row * outputs + output] = sum;
    }
  }
  return { count: x.count, width: outputs, data };
}
