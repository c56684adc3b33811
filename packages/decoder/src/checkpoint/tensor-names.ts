import type { ModelConfig } from "../families/read-config.js";
import type { BlockSpec, HalfNorms, HeadNormSource, LinearSource, NormSource } from "../model/block-spec.js";

/** Names of all tensors that a model reads, without prefixes. */
export function tensorNames({ embedding, blocks, head }: ModelConfig): ReadonlySet<string> {
  const { tokens, norm, positions, projection } = embedding;
  return new Set([
    `${tokens}.weight`,
    ...ofNorm(norm),
    ...(positions === undefined ? [] : [`${positions.name}.weight`]),
    ...ofLinear(projection),
    ...blocks.flatMap(blockTensorNames),
    ...ofNorm(head.norm),
    ...ofLinear(head.projection),
    // A tied head may be stored once more: transformers ignores it too.
    `${head.table}.weight`,
    ...(head.bias ? [`${head.table}.bias`] : []),
  ]);
}

/** Names of the tensors of one block. */
function blockTensorNames({ attention, attentionNorms, mlp, mlpNorms }: BlockSpec): readonly string[] {
  const { projections, output, queryNorm, keyNorm } = attention;
  const inputs =
    projections.layout === "split"
      ? [projections.query, projections.key, projections.value]
      : [projections.fused];
  return [
    ...[...inputs, output, ...mlpInputs(mlp.input), mlp.down].flatMap(ofLinear),
    ...ofHalf(attentionNorms),
    ...ofHalf(mlpNorms),
    ...ofHeadNorm(queryNorm),
    ...ofHeadNorm(keyNorm),
  ];
}

function mlpInputs(input: BlockSpec["mlp"]["input"]): readonly LinearSource[] {
  if (input.layout === "fused-gated") return [input.fused];
  return input.layout === "gated" ? [input.gate, input.up] : [input.up];
}

const ofLinear = (source: LinearSource | undefined): readonly string[] => ofModule(source);
const ofNorm = (source: NormSource | undefined): readonly string[] => ofModule(source);
const ofHalf = ({ input, output, residual }: HalfNorms<NormSource>): readonly string[] =>
  [input, output, residual].flatMap(ofNorm);
const ofHeadNorm = (source: HeadNormSource | undefined): readonly string[] =>
  source?.names.map((name) => `${name}.weight`) ?? [];

const ofModule = (
  source: { readonly name: string; readonly bias: boolean } | undefined,
): readonly string[] => {
  if (source === undefined) return [];
  const weight = `${source.name}.weight`;
  return source.bias ? [weight, `${source.name}.bias`] : [weight];
};
