import { ropeFrequencies } from "@kvfold/rope";
import { DecoderError } from "../decoder-error.js";
import type { ModelConfig } from "../families/read-config.js";
import type { AttentionSource, NormSpec } from "../model/block-spec.js";
import type { Heads } from "./attention-parts.js";
import { sizeOf } from "./constants.js";
import type { ExportedGraph } from "./exported-graph.js";
import type { MatchedBlock } from "./match-block.js";
import type { MatchedDecoder } from "./match-decoder.js";
import { isNear, type Norm } from "./match-norm.js";
import type { RotationSource } from "./match-rotation.js";

/**
 * Makes sure that a graph computes what its config says: sizes of all matrices, norms, and rotations.
 *
 * @throws {DecoderError} `malformed-checkpoint` when it does not.
 */
export async function checkDecoder(
  graph: ExportedGraph,
  { embedding, blocks, norm, head }: MatchedDecoder,
  config: ModelConfig,
): Promise<void> {
  const { hiddenSize: size, vocabSize } = config.shape;
  const check = checks(graph.file);
  check("the embedding", [embedding.rows, embedding.width], [vocabSize, config.embedding.width]);
  check("the head", [head.inputs, head.outputs], [size, vocabSize]);
  checkNorm(check, "the last norm", norm, config.head.norm!, size);
  for (const [layer, block] of blocks.entries()) checkBlock(check, block, config, layer);
  await checkRotations(graph, blocks, config);
}

type Check = (what: string, found: readonly unknown[], expected: readonly unknown[]) => void;

const checks =
  (file: string): Check =>
  (what, found, expected) => {
    if (found.every((value, index) => isAlike(value, expected[index]))) return;
    throw differs(file, what, found.join(" x "), expected.join(" x "));
  };

/** Numbers that are no counts are rounded in graphs. */
const isAlike = (found: unknown, expected: unknown): boolean =>
  found === expected ||
  (typeof found === "number" && typeof expected === "number" && expected < 1 && isNear(found, expected));

const differs = (file: string, what: string, found: string, expected: string): DecoderError =>
  new DecoderError(
    "malformed-checkpoint",
    `${file}: ${what} is ${found}, but config.json asks for ${expected}; is it the config of this graph?`,
  );

function checkBlock(check: Check, block: MatchedBlock, config: ModelConfig, layer: number): void {
  const { attention, mlp, attentionNorms, mlpNorms } = block;
  const spec = config.blocks[layer]!;
  const { hiddenSize: size } = config.shape;
  const { heads, kvHeads, headDim } = spec.attention;
  const of = (what: string) => `${what} of layer ${layer}`;
  const part = (what: string, { product, start, end }: Heads["part"], outputs: number) =>
    check(of(what), [product.inputs, end - start], [size, outputs]);
  part("the projection to queries", attention.query.part, heads * headDim);
  part("the projection to keys", attention.key.part, kvHeads * headDim);
  part("the projection to values", attention.value, kvHeads * headDim);
  const { output } = attention;
  check(of("the output projection"), [output.inputs, output.outputs], [heads * headDim, size]);
  for (const [what, matrix] of [
    ["the gate", mlp.gate],
    ["up", mlp.up],
  ] as const)
    if (matrix !== undefined) part(what, matrix, spec.mlp.width);
  check(of("down"), [mlp.down.inputs, mlp.down.outputs], [spec.mlp.width, size]);
  checkHeadNorms(check, of, block, spec.attention);
  for (const [found, source] of [
    [attentionNorms, spec.attentionNorms],
    [mlpNorms, spec.mlpNorms],
  ] as const)
    for (const place of ["input", "output"] as const)
      if (found[place] !== undefined)
        checkNorm(check, of(`the ${place} norm`), found[place], source[place]!, size);
}

function checkHeadNorms(
  check: Check,
  of: (what: string) => string,
  { attention: { query, key } }: MatchedBlock,
  { heads, kvHeads, headDim, queryNorm, keyNorm }: AttentionSource,
): void {
  for (const [what, norm, source, count] of [
    ["the norm of queries", query.norm, queryNorm, heads],
    ["the norm of keys", key.norm, keyNorm, kvHeads],
  ] as const) {
    if (norm === undefined || source === undefined) continue;
    checkNorm(check, of(what), norm, source, source.over === "shared" ? headDim : count * headDim);
  }
}

function checkNorm(check: Check, what: string, norm: Norm, spec: NormSpec, size: number): void {
  const width = sizeOf(norm.weight);
  check(what, [norm.kind, norm.epsilon, width], [spec.kind, spec.epsilon, size]);
}

/** Rotations are few: layers share them. */
async function checkRotations(
  { file }: ExportedGraph,
  blocks: readonly MatchedBlock[],
  config: ModelConfig,
): Promise<void> {
  const checked = new Set<string>();
  for (const [layer, { attention }] of blocks.entries()) {
    const spec = config.blocks[layer]!.attention;
    for (const { rotation } of [attention.query, attention.key]) {
      const key = `${rotation?.numbers.origin} ${rotation?.pairs} ${JSON.stringify(spec.rope)}`;
      if (checked.has(key)) continue;
      checked.add(key);
      await checkRotation(file, layer, rotation, spec);
    }
  }
}

async function checkRotation(
  file: string,
  layer: number,
  found: RotationSource | undefined,
  { rope, ropeLayout }: AttentionSource,
): Promise<void> {
  const what = `the rotation of layer ${layer}`;
  if (found === undefined || rope === undefined) {
    if (found === rope) return;
    throw differs(file, what, found ? "there" : "missing", rope ? "one" : "none");
  }
  if (found.pairs !== ropeLayout) throw differs(file, what, found.pairs, ropeLayout);
  if (rope.ropeType === "dynamic" || rope.ropeType === "longrope")
    throw new DecoderError(
      "unsupported-model",
      `${file}: ${what} changes with the length of the text (${rope.ropeType}), which kvfold does not read from a graph; fold the Hugging Face checkpoint it was made from`,
    );
  const error = await largestError(found, rope);
  // Broken tables are off by NaN.
  if (!(error <= ROTATION_TOLERANCE))
    throw differs(
      file,
      what,
      `off by ${error.toPrecision(3)}`,
      `base ${rope.theta}, ${rope.rotaryDim} numbers`,
    );
}

/** float16 keeps cosines to 5e-4; float32 angles of the last row checked are off by 1e-4. */
const ROTATION_TOLERANCE = 2e-3;
const CHECKED_ROWS = 1024;

type Rope = NonNullable<AttentionSource["rope"]>;

/** How far cosines, or frequencies by their size, are from those of the config. */
async function largestError({ kind, numbers, factor }: RotationSource, rope: Rope): Promise<number> {
  const { inverseFrequencies: frequencies, attentionScaling: scaling } = ropeFrequencies(rope, 0);
  const found = await numbers.read();
  const width = kind === "frequencies" ? found.length : numbers.dims.at(-1)!;
  // Tables of whole heads have all cosines twice.
  if (width !== frequencies.length && width !== 2 * frequencies.length) return Number.POSITIVE_INFINITY;
  if (kind === "frequencies") {
    const errors = Array.from(frequencies, (frequency, pair) => found[pair]! / frequency - 1);
    return largestOf([factor / scaling - 1, ...errors]);
  }
  const rows = Array.from({ length: Math.min(CHECKED_ROWS, numbers.dims[0]!) }, (_, row) =>
    largestOf(
      Array.from(
        frequencies,
        (frequency, pair) => found[row * width + pair]! * factor - scaling * Math.cos(row * frequency),
      ),
    ),
  );
  return largestOf(rows);
}

const largestOf = (errors: readonly number[]): number => Math.max(0, ...errors.map(Math.abs));
