import type { BlockSpec, HalfNorms, MlpSource, NormSource } from "../model/block-spec.js";
import type { Attention } from "./attention-parts.js";
import {
  bothOrders,
  type ExportedGraph,
  isSame,
  nodeOf,
  SUM_OUTPUT,
  unrecognised,
} from "./exported-graph.js";
import { matchActivation } from "./match-activation.js";
import { requireAttention } from "./match-attention.js";
import { matchNorm, type Norm } from "./match-norm.js";
import { matchPart, type ProductPart } from "./match-part.js";
import { matchProduct, type Product } from "./match-product.js";

/** One decoder block in a graph. */
export interface MatchedBlock {
  /** The stream that the block reads. */
  readonly stream: string;
  readonly attentionNorms: HalfNorms<Norm>;
  readonly attention: Attention & { readonly output: Product };
  readonly mlpNorms: HalfNorms<Norm>;
  readonly mlp: Mlp;
}

interface Mlp {
  readonly gate: ProductPart | undefined;
  readonly up: ProductPart;
  readonly down: Product;
}

/** Reads a block back from the stream that it leaves; its config says what is to be there. */
export function requireBlock(
  graph: ExportedGraph,
  stream: string,
  spec: BlockSpec,
  layer: number,
): MatchedBlock {
  const { arrangement, attentionNorms, mlpNorms, attention, mlp } = spec;
  const where = `layer ${layer}`;
  if (arrangement === "parallel" || attention.alibiSlopes !== undefined)
    throw unrecognised(graph, stream, "blocks whose halves follow each other, with rotary positions");
  const second = requireHalf(graph, stream, mlpNorms, `the MLP of ${where}`);
  const fed = requireMlp(graph, second.output, mlp, where);
  const mlpInput = requireInput(graph, fed.reading, second.stream, mlpNorms.input, `the MLP of ${where}`);
  const first = requireHalf(graph, second.stream, attentionNorms, `the attention of ${where}`);
  const attended = requireAttention(graph, first.output.input, attention, where);
  const reading = readingOf(graph, attended, where);
  const input = requireInput(graph, reading, first.stream, attentionNorms.input, `the attention of ${where}`);
  return {
    stream: first.stream,
    attentionNorms: { input, output: first.outputNorm },
    attention: { ...attended, output: first.output },
    mlpNorms: { input: mlpInput, output: second.outputNorm },
    mlp: fed,
  };
}

interface Half {
  /** The stream before this half. */
  readonly stream: string;
  readonly output: Product;
  readonly outputNorm: Norm | undefined;
}

/** What one half of a block adds to the stream, and to what. */
function requireHalf(graph: ExportedGraph, value: string, norms: HalfNorms<NormSource>, what: string): Half {
  if (norms.residual !== undefined)
    throw unrecognised(graph, value, `${what} without a norm of the stream after it`);
  for (const [stream, added] of operandsOfSum(graph, value)) {
    const outputNorm = norms.output && matchNorm(graph, added);
    if (norms.output !== undefined && outputNorm === undefined) continue;
    const output = matchProduct(graph, outputNorm?.input ?? added);
    if (output !== undefined) return { stream, output, outputNorm };
  }
  throw unrecognised(graph, value, `a sum of the stream and what ${what} adds`);
}

function operandsOfSum(graph: ExportedGraph, value: string): readonly (readonly [string, string])[] {
  const { node, output } = graph.term(value);
  if (node === undefined) return [];
  const isSkip = node.operator.startsWith("Skip") && output === SUM_OUTPUT;
  if (!isSkip && node.operator !== "Add") return [];
  const [a, b] = [node.inputs[0]!, node.inputs[1]!];
  return [
    [a, b],
    [b, a],
  ];
}

/** Makes sure that a half reads the stream that it adds to, through its norm if it has one. */
function requireInput(
  graph: ExportedGraph,
  reading: string,
  stream: string,
  source: NormSource | undefined,
  what: string,
): Norm | undefined {
  const norm = source && matchNorm(graph, reading);
  if (source !== undefined && norm === undefined) throw unrecognised(graph, reading, `a norm before ${what}`);
  if (isSame(graph, norm?.input ?? reading, stream)) return norm;
  throw unrecognised(graph, norm?.input ?? reading, `${what} to read the stream that it adds to`);
}

/** The value that queries, keys and values are projected from. */
function readingOf(graph: ExportedGraph, { query, key, value }: Attention, where: string): string {
  const [reading, ...others] = [query.part, key.part, value].map(({ product }) => product.input);
  const other = others.find((input) => !isSame(graph, input, reading!));
  if (other === undefined) return reading!;
  throw unrecognised(graph, other, `queries, keys and values of ${where} to be made of one value`);
}

function requireMlp(
  graph: ExportedGraph,
  down: Product,
  { activation, input }: MlpSource,
  where: string,
): Mlp & { readonly reading: string } {
  const isGated = input.layout !== "plain";
  const pairs = isGated ? bothOrders(nodeOf(graph, down.input, "Mul")) : [[down.input, ""] as const];
  for (const [left, right] of pairs) {
    const activated = matchActivation(graph, left);
    if (activated?.activation !== activation) continue;
    const first = matchPart(graph, activated.input);
    const second = isGated ? matchPart(graph, right) : undefined;
    if (first === undefined || (isGated && second === undefined)) continue;
    requireOneInput(graph, first, second ?? first, where);
    const parts = isGated ? { gate: first, up: second! } : { gate: undefined, up: first };
    return { ...parts, down, reading: first.product.input };
  }
  throw unrecognised(
    graph,
    down.input,
    `${activation} of a product${isGated ? ", times a product," : ""} in the MLP of ${where}`,
  );
}

function requireOneInput(graph: ExportedGraph, a: ProductPart, b: ProductPart, where: string): void {
  if (isSame(graph, a.product.input, b.product.input)) return;
  throw unrecognised(graph, b.product.input, `gate and up of the MLP of ${where} to be made of one value`);
}
