import type { Moments } from "@kvfold/linalg";
import type { ComplexArray, MeanTurns } from "@kvfold/rope";

/** Where the columns of moments turn: heads of keys first, then columns that do not turn, such as values. */
export interface TurningColumns {
  /** `d`. */
  readonly headDim: number;
  /** Numbers of a head that turn, pairs `(j, j + rotaryDim / 2)`. */
  readonly rotaryDim: number;
  /** Heads among the first columns, `keyHeads * headDim` together. */
  readonly keyHeads: number;
}

/**
 * The moments that rows have once the pairs of their heads have turned, where the rows themselves do not depend on their
 * positions: sums over `count` rows as before. Exact for means and second moments under that assumption
 * (docs/method.md, Anchored latents, Moments).
 */
export function turnMoments(moments: Moments, columns: TurningColumns, turns: MeanTurns): Moments {
  const turned = { ...moments, sum: moments.sum.slice(), gram: moments.gram.slice() };
  const pairs = turningPairs(columns);
  const still = stillColumns(columns, moments.width);
  for (const first of pairs) {
    for (const second of pairs) turnBlock(turned, first, second, turns);
    for (const column of still) turnCross(turned, first, column, turns);
    turnPair(turned.sum, [first.a, first.b], at(turns.single, first.pair));
  }
  return turned;
}

/** Columns `a` and `b` turn together, at the speed of pair `pair` of a head. */
interface Pair {
  readonly a: number;
  readonly b: number;
  readonly pair: number;
}

function turningPairs({ headDim, rotaryDim, keyHeads }: TurningColumns): readonly Pair[] {
  const half = rotaryDim / 2;
  return Array.from({ length: keyHeads * half }, (_, index) => {
    const pair = index % half;
    const a = Math.floor(index / half) * headDim + pair;
    return { a, b: a + half, pair };
  });
}

function stillColumns({ headDim, rotaryDim, keyHeads }: TurningColumns, width: number): readonly number[] {
  const all = Array.from({ length: width }, (_, column) => column);
  return all.filter((column) => column >= keyHeads * headDim || column % headDim >= rotaryDim);
}

type Complex = readonly [real: number, imaginary: number];

const at = ({ real, imaginary }: ComplexArray, index: number): Complex => [real[index]!, imaginary[index]!];

/** With pairs as complex numbers `z`, `w`: the means of `z w*` and `z w` turn, and give the four real products back. */
function turnBlock({ width, gram }: Moments, first: Pair, second: Pair, turns: MeanTurns): void {
  const [aa, ab] = [first.a * width + second.a, first.a * width + second.b];
  const [ba, bb] = [first.b * width + second.a, first.b * width + second.b];
  const index = first.pair * turns.pairs + second.pair;
  const [p, q] = product([gram[aa]! + gram[bb]!, gram[ba]! - gram[ab]!], at(turns.difference, index));
  const [r, s] = product([gram[aa]! - gram[bb]!, gram[ba]! + gram[ab]!], at(turns.sum, index));
  gram[aa] = (r + p) / 2;
  gram[bb] = (p - r) / 2;
  gram[ba] = (s + q) / 2;
  gram[ab] = (s - q) / 2;
}

/** Products of a pair with a column that does not turn, on both sides of the diagonal. */
function turnCross({ width, gram }: Moments, { a, b, pair }: Pair, column: number, turns: MeanTurns): void {
  const turn = at(turns.single, pair);
  turnPair(gram, [a * width + column, b * width + column], turn);
  turnPair(gram, [column * width + a, column * width + b], turn);
}

function turnPair(values: Float64Array, [a, b]: readonly [number, number], turn: Complex): void {
  const [real, imaginary] = product([values[a]!, values[b]!], turn);
  values[a] = real;
  values[b] = imaginary;
}

const product = (x: Complex, y: Complex): Complex => [x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]];
