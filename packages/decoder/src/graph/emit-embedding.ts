import type { ModelConfig } from "../checkpoint/read-config.js";
import type { EmbeddingWeights, HeadWeights } from "../model/decoder-weights.js";
import { emitNorm } from "./emit-norm.js";
import { emitQuantisedProduct } from "./emit-quantised-product.js";
import type { Emitter } from "./emitter.js";
import { FLOAT } from "./score-bias.js";

/** Token ids `[B, S]` to hidden states `[B, S, D]`; also the table's name, for a tied head. */
export function emitEmbedding(
  e: Emitter,
  inputIds: string,
  weights: EmbeddingWeights,
  { family, shape }: ModelConfig,
): { readonly hidden: string; readonly table: string } {
  const table = e.floats("embed_tokens/weight", [shape.vocabSize, shape.hiddenSize], weights.table);
  const rows = e.node("Gather", "embed_tokens/Gather", [table, inputIds]);
  const hidden =
    weights.norm === undefined
      ? rows
      : emitNorm(e, "embed_layernorm", rows, family.norm, weights.norm, shape.normEpsilon);
  return { hidden, table };
}

/** Hidden states `[B, S, D]` to logits `[B, S, V]`, float32 whatever the graph's float type. */
export function emitHead(
  e: Emitter,
  hidden: string,
  table: string,
  weights: HeadWeights,
  { family, shape }: ModelConfig,
): string {
  const normed = emitNorm(e, "model/norm", hidden, family.norm, weights.norm, shape.normEpsilon);
  const head = e.at("lm_head");
  const logits = emitLogits(head, normed, table, weights.table, shape);
  return e.floatType === "float32"
    ? logits
    : head.node("Cast", "Cast", [logits], { attributes: { to: FLOAT } });
}

/**
 * The table is stored once, `[V, D]`; ONNX Runtime folds the transpose into the product. In four bits only a head of
 * its own is quantised, as in models of onnx-community: rows of the embedding are gathered, which takes floats, and a
 * tied head shares them.
 */
function emitLogits(
  e: Emitter,
  hidden: string,
  embedding: string,
  untied: Float32Array | undefined,
  { vocabSize: outputs, hiddenSize: inputs }: ModelConfig["shape"],
): string {
  if (untied !== undefined && e.projections === "q4")
    return emitQuantisedProduct(e, hidden, { inputs, outputs, rows: untied });
  const table = untied && e.floats("weight", [outputs, inputs], untied);
  return e.node("MatMul", "MatMul", [hidden, e.transpose("Transpose", table ?? embedding, [1, 0])]);
}
