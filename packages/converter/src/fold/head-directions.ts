import type { AttentionWeights, Linear } from "@kvfold/decoder";
import {
  add,
  fromFloat32,
  identity,
  leadingEigen,
  type Matrix,
  type MatrixProducts,
  multiplyTransposed,
  scale,
  slice,
  stackColumns,
  stackRows,
  subtract,
  thinQr,
  toFloat32,
} from "@kvfold/linalg";
import type { HeadDirections } from "../graph/emit-decoded-attention.js";

/** Tokens of text for each input of the refitted `W_O`: with fewer, more inputs fit noise (docs/method.md, Healing). */
const TOKENS_PER_INPUT = 128;

/** Weight of a direction outside of the first coordinates, where those have 1: any small number chooses the same. */
const REST = 1e-3;

/**
 * How many directions of each head's outputs `W_O` is refitted on: as many as the text can teach, but no fewer than the
 * head had before it was folded. The folded width itself where that is not more.
 */
export function directionsPerHead(
  attention: Pick<AttentionWeights, "heads" | "headDim" | "values" | "joint">,
  tokens: number,
): number {
  const { heads, headDim } = attention;
  const taught = Math.floor(tokens / (TOKENS_PER_INPUT * heads));
  return Math.min(latentSize(attention), Math.max(headDim, taught));
}

/** Numbers of the latent that a head reads values from; half of a joint one goes by the name of values. */
const latentSize = ({ values, joint }: Pick<AttentionWeights, "values" | "joint">): number =>
  joint === undefined ? values.size : 2 * values.size;

/** What `W_O` reads of each head, in fewer directions. */
export interface NarrowOutput {
  readonly directions: HeadDirections;
  /** From `H * directions.size` to `D`: the same map. */
  readonly output: Linear;
}

/**
 * Directions `P_h [r, size]` with orthonormal columns for each head, and `W_O` in them: `W_O,h = P_h U_h` exactly. First
 * those that `W_O,h` reads, at most `d` since it decodes heads of `d` numbers; then the latent's first coordinates, which
 * carry most of it.
 */
export async function narrowOutput(
  attention: AttentionWeights,
  size: number,
  products: MatrixProducts,
): Promise<NarrowOutput> {
  const { heads, headDim, output } = attention;
  const matrices: Matrix[] = [];
  const narrowed: Matrix[] = [];
  for (let head = 0; head < heads; head++) {
    const reading = readingOf(attention, head);
    const directions = await directionsOf(reading, headDim, size, products);
    matrices.push(directions);
    narrowed.push(await readThrough(directions, reading, products));
  }
  return {
    directions: { size, matrices: toFloat32(stackRows(matrices)) },
    output: { ...output, inputs: heads * size, weight: toFloat32(stackRows(narrowed)) },
  };
}

/** Back to the folded width: `W_O,h = P_h U_h`. */
export async function widenOutput(
  narrow: NarrowOutput,
  { heads, values }: Pick<AttentionWeights, "heads" | "values">,
  products: MatrixProducts,
): Promise<Linear> {
  const { size, matrices } = narrow.directions;
  const widened: Matrix[] = [];
  for (let head = 0; head < heads; head++) {
    const part = matrices.subarray(head * values.size * size, (head + 1) * values.size * size);
    const directions = fromFloat32(values.size, size, part);
    widened.push(await products.multiply(directions, headRows(narrow.output, head, size)));
  }
  return { ...narrow.output, inputs: heads * values.size, weight: toFloat32(stackRows(widened)) };
}

/** What the output makes of the latent as a head weighs it, `[r, D]`: `decode [r, d] · rows [d, D]`, or the rows alone. */
interface Reading {
  readonly decode: Matrix | undefined;
  readonly rows: Matrix;
}

function readingOf({ heads, output, values, joint }: AttentionWeights, head: number): Reading {
  if (joint === undefined) return { decode: undefined, rows: headRows(output, head, values.size) };
  const { decodeValues } = joint;
  const inner = output.inputs / heads;
  const size = decodeValues.length / heads;
  const decode = fromFloat32(size / inner, inner, decodeValues.subarray(head * size, (head + 1) * size));
  return { decode, rows: headRows(output, head, inner) };
}

/** What is read of each direction, `directionsᵀ · reading`. */
async function readThrough(
  directions: Matrix,
  { decode, rows }: Reading,
  products: MatrixProducts,
): Promise<Matrix> {
  if (decode === undefined) return products.transposeMultiply(directions, rows);
  return products.multiply(await products.transposeMultiply(directions, decode), rows);
}

async function directionsOf(
  reading: Reading,
  headDim: number,
  size: number,
  products: MatrixProducts,
): Promise<Matrix> {
  const width = (reading.decode ?? reading.rows).rows;
  if (size === width) return identity(size);
  const read = await readDirections(reading, headDim, products);
  if (size === headDim) return read;
  const outside = subtract(identity(width), multiplyTransposed(read, read));
  const first = slice(outside, { rows: [0, width], cols: [0, size - headDim] });
  const spread = await products.multiplyTransposed(first, first);
  // The rest keeps what is read already after everything else, also where the first coordinates lie in it.
  const preferred = add(spread, scale(outside, REST));
  const { vectors: further } = await leadingEigen(preferred, size - headDim, { products });
  return stackColumns([read, further]);
}

/**
 * The first `d` left singular vectors of a reading, `[r, d]`. Those of `decode · rows` lie in the columns of `decode`: with
 * `decode = Q R` they are `Q` times those of the small `R · rows`.
 */
async function readDirections(
  { decode, rows }: Reading,
  headDim: number,
  products: MatrixProducts,
): Promise<Matrix> {
  const { q, r } = decode === undefined ? {} : thinQr(decode);
  const small = r === undefined ? rows : await products.multiply(r, rows);
  const gram = await products.multiplyTransposed(small, small);
  const { vectors } = await leadingEigen(gram, headDim, { products });
  return q === undefined ? vectors : products.multiply(q, vectors);
}

const headRows = ({ outputs, weight }: Linear, head: number, size: number): Matrix =>
  fromFloat32(size, outputs, weight.subarray(head * size * outputs, (head + 1) * size * outputs));
