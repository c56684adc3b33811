import type { RopeParameters } from "@kvfold/rope";
import type { BlockSpec, HalfNorms, NormSource } from "../model/block-spec.js";
import type { ModelSpec } from "../model/model-spec.js";
import { findArchitecture } from "./architecture.js";

/**
 * Why no architecture of llama.cpp that kvfold writes computes what `spec` describes within `maxPositions` tokens;
 * `undefined` where one does.
 */
export function plainDecoderObstacle(spec: ModelSpec, maxPositions: number): string | undefined {
  for (const [layer, block] of spec.blocks.entries()) {
    const obstacle = blockObstacle(block, maxPositions);
    if (obstacle !== undefined) return `layer ${layer} ${obstacle}`;
  }
  const obstacle = edgeObstacle(spec) ?? uniformObstacle(spec);
  if (obstacle !== undefined) return obstacle;
  if (findArchitecture(spec, { newBiases: false }) === undefined)
    return "norms of queries and keys beside biases, or beside llama3 scaling of RoPE";
  return undefined;
}

function blockObstacle(block: BlockSpec, maxPositions: number): string | undefined {
  const { attention, mlp, arrangement } = block;
  if (arrangement === "parallel") return "computes attention and MLP side by side";
  if (!isPlainNorm(block.attentionNorms) || !isPlainNorm(block.mlpNorms))
    return "has other norms than one RMSNorm before each half";
  if (mlp.input.layout === "plain" || mlp.activation !== "silu") return "has no MLP gated by SiLU";
  return (
    attentionObstacle(attention, maxPositions) ??
    (attention.rope === undefined ? "has no RoPE" : ropeObstacle(attention.rope))
  );
}

function attentionObstacle(attention: BlockSpec["attention"], maxPositions: number): string | undefined {
  const { window, softCap, alibiSlopes, scale, headDim, headNorm, queryNorm, keyNorm } = attention;
  if (alibiSlopes !== undefined) return "adds ALiBi to its scores";
  if (softCap !== undefined) return `has a soft cap of ${softCap} on its scores`;
  if (window !== undefined && window < maxPositions)
    return `sees a window of ${window} tokens; with maxPositions ${window} the file can hold the model`;
  if (Math.abs(scale * Math.sqrt(headDim) - 1) > 1e-6) return `multiplies its scores by ${scale}`;
  if (headNorm === undefined) return undefined;
  const shared = [queryNorm, keyNorm].every((norm) => norm?.over === "shared" && norm.kind === "rms");
  return shared && headNorm === "before-rotation"
    ? undefined
    : "normalises queries and keys in another way than head by head before the rotation";
}

function ropeObstacle({ ropeType, rotaryDim, headDim, scaling }: RopeParameters): string | undefined {
  if (rotaryDim !== headDim) return `turns ${rotaryDim} of the ${headDim} numbers of a head`;
  switch (ropeType) {
    case "default":
    case "linear":
    case "llama3":
      return undefined;
    case "yarn":
      return scaling.truncate ? undefined : "has YaRN without rounded ends (truncate false)";
    default:
      return `has ${ropeType} scaling of RoPE`;
  }
}

function edgeObstacle({ embedding, head }: ModelSpec): string | undefined {
  if (embedding.positions !== undefined) return "learned positions";
  if (embedding.scale !== undefined || embedding.norm !== undefined || embedding.projection !== undefined)
    return "embeddings that are scaled, normalised or projected";
  if (head.softCap !== undefined) return `a soft cap of ${head.softCap} on logits`;
  if (head.bias || head.projection !== undefined || !isRmsNorm(head.norm))
    return "a head other than an RMSNorm and one matrix";
  return undefined;
}

/** What a file states once for all layers. */
function uniformObstacle({ blocks, head }: ModelSpec): string | undefined {
  const ropes = new Set(blocks.map(({ attention }) => JSON.stringify(attention.rope)));
  if (ropes.size > 1) return "layers that turn heads differently";
  const norms = blocks.flatMap(({ attention, attentionNorms, mlpNorms }) => [
    attentionNorms.input,
    mlpNorms.input,
    attention.queryNorm,
    attention.keyNorm,
  ]);
  const epsilons = new Set(
    [...norms, head.norm].flatMap((norm) => (norm === undefined ? [] : [norm.epsilon])),
  );
  return epsilons.size > 1 ? "norms with different epsilons" : undefined;
}

const isPlainNorm = ({ input, output, residual }: HalfNorms<NormSource>): boolean =>
  isRmsNorm(input) && output === undefined && residual === undefined;

const isRmsNorm = (norm: NormSource | undefined): boolean => norm?.kind === "rms" && !norm.bias;
