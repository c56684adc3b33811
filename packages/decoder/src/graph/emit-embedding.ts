import type { EmbeddingWeights, HeadWeights } from "../model/decoder-weights.js";
import type { ModelShape } from "../model/model-shape.js";
import type { StoredMatrix } from "../model/stored-matrix.js";
import { storedRows } from "../model/stored-pieces.js";
import { emitLinear } from "./emit-linear.js";
import { emitOptionalNorm } from "./emit-norm.js";
import { emitQuantisedProduct } from "./emit-quantised-product.js";
import { emitSoftCap } from "./emit-soft-cap.js";
import type { Emitter } from "./emitter.js";
import type { Positions } from "./positions.js";

/** Token ids `[B, S]` to hidden states `[B, S, D]`; also the table's name, for a tied head. */
export function emitEmbedding(
  e: Emitter,
  inputIds: string,
  weights: EmbeddingWeights,
  { vocabSize, hiddenSize }: ModelShape,
  positions: Positions,
): { readonly hidden: string; readonly table: string } {
  const table = emitTable(e, "embed_tokens/weight", weights.table, weights.storedTable, vocabSize);
  let hidden = e.node("Gather", "embed_tokens/Gather", [table, inputIds]);
  if (weights.scale !== undefined)
    hidden = e.node("Mul", "embed_tokens/scale/Mul", [hidden, e.scalar(weights.scale)]);
  if (weights.projection !== undefined) hidden = emitLinear(e, "project_in", hidden, weights.projection);
  hidden = emitOptionalNorm(e, "embed_layernorm", hidden, weights.norm);
  if (weights.positions === undefined) return { hidden, table };
  const added = emitLearnedPositions(e.at("embed_positions"), weights.positions, hiddenSize, positions);
  return { hidden: e.node("Add", "embed_positions/Add", [hidden, added]), table };
}

/** Rows that no position reads are left out, so that a position is its row. */
function emitLearnedPositions(
  e: Emitter,
  { table, offset }: NonNullable<EmbeddingWeights["positions"]>,
  hiddenSize: number,
  positions: Positions,
): string {
  const rows = table.subarray(offset * hiddenSize);
  const weight = e.floats("weight", [rows.length / hiddenSize, hiddenSize], rows);
  return e.node("Gather", "Gather", [weight, positions.positionIds()]);
}

/** Hidden states `[B, S, D]` to logits `[B, S, V]`, float32 whatever the graph's float type. */
export function emitHead(
  e: Emitter,
  hidden: string,
  embeddingTable: string,
  weights: HeadWeights,
  { vocabSize }: ModelShape,
): string {
  const normed = emitOptionalNorm(e, "model/norm", hidden, weights.norm);
  const head = e.at("lm_head");
  const projected =
    weights.projection === undefined ? normed : emitLinear(head, "project_out", normed, weights.projection);
  let logits = emitTableProduct(head, projected, embeddingTable, weights, vocabSize);
  if (weights.bias !== undefined)
    logits = head.node("Add", "Add", [logits, head.floats("bias", [vocabSize], weights.bias)]);
  if (e.floatType !== "float32") logits = head.cast("Cast", logits, "float32");
  return weights.softCap === undefined ? logits : emitSoftCap(head, logits, weights.softCap, "float32");
}

/**
 * The table is stored once, `[V, width]`; ONNX Runtime folds the transpose into the product. In four bits only a head of
 * its own is quantised, as in models of onnx-community: rows of the embedding are gathered, which takes floats, and a
 * tied head shares them.
 */
function emitTableProduct(
  e: Emitter,
  hidden: string,
  embeddingTable: string,
  { table: untied, storedTable }: HeadWeights,
  outputs: number,
): string {
  if (untied !== undefined && e.projections === "q4") {
    const inputs = untied.length / outputs;
    return emitQuantisedProduct(e, hidden, { inputs, outputs, rows: () => untied });
  }
  const table = untied && emitTable(e, "weight", untied, storedTable, outputs);
  return e.node("MatMul", "MatMul", [hidden, e.transpose("Transpose", table ?? embeddingTable, [1, 0])]);
}

/** A table with `rows` rows, from the checkpoint where it still is there. */
function emitTable(
  e: Emitter,
  name: string,
  table: Float32Array,
  stored: StoredMatrix | undefined,
  rows: number,
): string {
  if (stored === undefined) return e.floats(name, [rows, table.length / rows], table);
  return e.stored(name, [rows, stored.columns], (piece) => storedRows(stored, piece));
}
