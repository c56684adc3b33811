import { BLOCK_SIZE, type Dtype, dtypes, type ModelConfig } from "@kvfold/decoder";

type Block = ModelConfig["blocks"][number];
type HeadNorm = NonNullable<Block["attention"]["queryNorm"]>;

/** A linear layer by its sizes. */
interface LinearSize {
  readonly inputs: number;
  readonly outputs: number;
  readonly bias: boolean;
}

/** A scale of each block of four-bit weights. */
const SCALE_BYTES = 4;

/**
 * Bytes of a model's weights in a graph of `dtype`, counted from its config alone. Four bits hold projections and a head of its
 * own, as graphs do; embeddings, norms and biases stay float32.
 *
 * Numerics: exact for the weights of the checkpoint. Tables of rotations and masks are not counted; they are small beside it.
 */
export function weightBytes(config: ModelConfig, dtype: Dtype): number {
  const { floatType, projections } = dtypes[dtype];
  const numberBytes = floatType === "float16" ? 2 : 4;
  const layers = linearLayers(config);
  const biases = sum(layers.map(({ bias, outputs }) => (bias ? outputs : 0)));
  const products = sum(
    layers.map((layer) =>
      projections === "q4" ? fourBitBytes(layer) : numberBytes * layer.inputs * layer.outputs,
    ),
  );
  return products + numberBytes * (biases + embeddingNumbers(config) + normNumbers(config));
}

const fourBitBytes = ({ inputs, outputs }: LinearSize): number =>
  outputs * Math.ceil(inputs / BLOCK_SIZE) * (BLOCK_SIZE / 2 + SCALE_BYTES);

function linearLayers({ shape, embedding, blocks, head }: ModelConfig): readonly LinearSize[] {
  const { hiddenSize, vocabSize } = shape;
  const { width } = embedding;
  return [
    ...sized(embedding.projection, width, hiddenSize),
    ...blocks.flatMap((block) => [...attentionLayers(block, hiddenSize), ...mlpLayers(block, hiddenSize)]),
    ...sized(head.projection, hiddenSize, width),
    ...(head.tied ? [] : sized(head, width, vocabSize)),
  ];
}

const sized = (
  source: { readonly bias: boolean } | undefined,
  inputs: number,
  outputs: number,
): readonly LinearSize[] => (source === undefined ? [] : [{ inputs, outputs, bias: source.bias }]);

function attentionLayers({ attention }: Block, hiddenSize: number): readonly LinearSize[] {
  const { heads, kvHeads, headDim, projections, output } = attention;
  const [query, kv] = [heads * headDim, kvHeads * headDim];
  const read =
    projections.layout === "split"
      ? [
          ...sized(projections.query, hiddenSize, query),
          ...sized(projections.key, hiddenSize, kv),
          ...sized(projections.value, hiddenSize, kv),
        ]
      : sized(projections.fused, hiddenSize, query + 2 * kv);
  return [...read, ...sized(output, query, hiddenSize)];
}

function mlpLayers({ mlp: { input, width, down } }: Block, hiddenSize: number): readonly LinearSize[] {
  const read =
    input.layout === "fused-gated"
      ? sized(input.fused, hiddenSize, 2 * width)
      : [
          ...(input.layout === "gated" ? sized(input.gate, hiddenSize, width) : []),
          ...sized(input.up, hiddenSize, width),
        ];
  return [...read, ...sized(down, width, hiddenSize)];
}

/** Tables of tokens and of learned positions, and the bias of a tied head. */
function embeddingNumbers({ shape, embedding, head }: ModelConfig): number {
  const { vocabSize, hiddenSize } = shape;
  const positions = (embedding.positions?.rows ?? 0) * hiddenSize;
  return vocabSize * embedding.width + positions + (head.tied && head.bias ? vocabSize : 0);
}

function normNumbers({ shape: { hiddenSize }, embedding, blocks, head }: ModelConfig): number {
  const whole = [
    embedding.norm,
    head.norm,
    ...blocks.flatMap(({ attentionNorms, mlpNorms }) => [
      ...distinct(attentionNorms.input, mlpNorms.input),
      attentionNorms.output,
      attentionNorms.residual,
      mlpNorms.output,
      mlpNorms.residual,
    ]),
  ];
  const heads = blocks.flatMap(({ attention: { queryNorm, keyNorm, ...shape } }) => [
    headNormNumbers(queryNorm, shape.heads, shape.headDim),
    headNormNumbers(keyNorm, shape.kvHeads, shape.headDim),
  ]);
  return sum(whole.map((norm) => (norm === undefined ? 0 : hiddenSize * (norm.bias ? 2 : 1)))) + sum(heads);
}

type Norm = Block["attentionNorms"]["input"];

/** Parallel halves may read one norm. */
const distinct = (attention: Norm, mlp: Norm): readonly Norm[] =>
  attention?.name === mlp?.name ? [attention] : [attention, mlp];

const headNormNumbers = (norm: HeadNorm | undefined, heads: number, headDim: number): number =>
  norm === undefined ? 0 : headDim * (norm.over === "shared" ? 1 : heads);

const sum = (numbers: readonly number[]): number => numbers.reduce((total, count) => total + count, 0);
