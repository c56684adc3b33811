import type { AttentionSource, BlockSpec, LinearSource, MlpSource, NormSource } from "../model/block-spec.js";
import type { ModelShape } from "../model/model-shape.js";
import type { EmbeddingSource, HeadSource, ModelSpec } from "../model/model-spec.js";

/** What attention of the GPT line leaves out: no norms of heads, no caps, all keys in sight. */
export const plainAttention = ({
  heads,
  kvHeads,
  headDim,
}: ModelShape): Omit<AttentionSource, "projections" | "output"> => ({
  heads,
  kvHeads,
  headDim,
  scale: 1 / Math.sqrt(headDim),
  rope: undefined,
  ropeLayout: "half-split",
  alibiSlopes: undefined,
  window: undefined,
  softCap: undefined,
  headNorm: undefined,
  queryNorm: undefined,
  keyNorm: undefined,
});

/** An embedding table and nothing else. */
export const plainEmbedding = (tokens: string, width: number): EmbeddingSource => ({
  tokens,
  width,
  scale: undefined,
  norm: undefined,
  positions: undefined,
  projection: undefined,
});

/** A final norm and a table. */
export const plainHead = (norm: NormSource | undefined, table: string, tied: boolean): HeadSource => ({
  norm,
  projection: undefined,
  table,
  tied,
  bias: false,
  softCap: undefined,
});

/** `down(act(up(x)))`. */
export const plainMlpSource = (
  activation: MlpSource["activation"],
  width: number,
  up: LinearSource,
  down: LinearSource,
): MlpSource => ({ activation, width, input: { layout: "plain", up }, down });

/** One norm before each half. */
export const inputNormsOf = (
  attention: NormSource,
  mlp: NormSource,
): Pick<BlockSpec, "attentionNorms" | "mlpNorms"> => ({
  attentionNorms: { input: attention },
  mlpNorms: { input: mlp },
});

/** Checkpoints of these families come with and without the module that holds the decoder. */
export const transformerPrefixes: Pick<ModelSpec, "prefixes"> = { prefixes: ["transformer.", ""] };

export const eachLayer = <T>(layers: number, of: (layer: number) => T): readonly T[] =>
  Array.from({ length: layers }, (_, layer) => of(layer));
