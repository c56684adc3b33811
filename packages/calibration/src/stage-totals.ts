import { gramBlocks, gramBlocksSize, unpackGram } from "./gram-blocks.js";
import { addPlainly, addProductOnGrid, addSumOnGrid, exponentsOf, type ProductRows } from "./grid.js";
import { unshiftProduct, unshiftSum } from "./shifted-sums.js";
import type { RowReference, StageReference } from "./stage-reference.js";
import type { StageResult } from "./stage-result.js";

/** Rows `[.., size]` that a stage sums, and the name of their sums. */
export interface NamedSize {
  readonly name: string;
  readonly size: number;
}

/** The rows `z` of a cross moment. */
export interface NamedCross extends NamedSize {
  /** Name of the moments whose rows are `y`. */
  readonly rows: string;
}

/** All that a stage sums. */
export interface StageNames {
  readonly moments: readonly NamedSize[];
  readonly crosses: readonly NamedCross[];
}

/** The numbers of an output in float32. They may be in memory that the next read uses again. */
export type ReadOutput = (output: string) => Promise<Float32Array>;

/** Sums in float64, about the shifts of a reference. */
export interface StageTotals {
  /** Adds what a graph summed over some windows. */
  add(read: ReadOutput): Promise<void>;
  /** Ends the adding: the sums lie in the memory of the totals. */
  result(count: number): StageResult;
}

/** Elements of all outputs that hold sums, by name: `<name>.sum`, `<name>.gram` in block rows, `<name>.cross`. */
export const outputSizes = ({ moments, crosses }: StageNames): ReadonlyMap<string, number> =>
  new Map([
    ...[...moments, ...crosses].map(({ name, size }): [string, number] => [`${name}.sum`, size]),
    ...moments.map(({ name, size }): [string, number] => [`${name}.gram`, gramBlocksSize(size)]),
    ...crosses.map(({ name, size, rows }): [string, number] => [
      `${name}.cross`,
      widthOf(moments, rows) * size,
    ]),
  ]);

/** All zero. Memory that nothing was written to yet is not taken from the system. */
export function createStageTotals(names: StageNames, reference: StageReference): StageTotals {
  const { moments, crosses } = names;
  const totals = zeros(names);
  const exponents = (name: string) => reference[name]?.exponents ?? undefined;
  return {
    async add(read) {
      for (const { name } of [...moments, ...crosses]) {
        const [total, part, own] = [totals.get(`${name}.sum`)!, await read(`${name}.sum`), exponents(name)];
        if (own === undefined) addPlainly(total, part);
        else addSumOnGrid(total, part, own);
      }
      for (const { output, y, z, layout } of productsOf(names)) {
        const [total, part] = [totals.get(output)!, await read(output)];
        const [rows, columns] = [exponents(y), exponents(z)];
        if (rows === undefined || columns === undefined) addPlainly(total, part);
        else addProductOnGrid(total, part, { layout, rows, columns });
      }
    },
    result: (count) => ({
      moments: Object.fromEntries(
        moments.map(({ name, size }) => [
          name,
          {
            width: size,
            count,
            sum: totals.get(`${name}.sum`)!,
            gram: unpackGram(totals.get(`${name}.gram`)!, size),
          },
        ]),
      ),
      crosses: Object.fromEntries(
        crosses.map(({ name }) => [
          name,
          { cross: totals.get(`${name}.cross`)!, sum: totals.get(`${name}.sum`)! },
        ]),
      ),
    }),
  };
}

/** Grams have room for the whole of them, since they are unpacked where they lie. */
function zeros(names: StageNames): ReadonlyMap<string, Float64Array> {
  const rooms = new Map(names.moments.map(({ name, size }) => [`${name}.gram`, size * size]));
  return new Map(
    [...outputSizes(names)].map(([name, size]) => [
      name,
      new Float64Array(new Float64Array(Math.max(size, rooms.get(name) ?? 0)).buffer, 0, size),
    ]),
  );
}

/** A product, and the names of its two sides. */
interface NamedProduct {
  readonly output: string;
  readonly y: string;
  readonly z: string;
  readonly layout: readonly ProductRows[];
}

const productsOf = ({ moments, crosses }: StageNames): readonly NamedProduct[] => [
  ...moments.map(({ name, size }) => ({ output: `${name}.gram`, y: name, z: name, layout: gramRows(size) })),
  ...crosses.map(({ name, rows }) => ({
    output: `${name}.cross`,
    y: rows,
    z: name,
    layout: [{ start: 0, end: widthOf(moments, rows), from: 0 }],
  })),
];

const gramRows = (width: number): readonly ProductRows[] =>
  gramBlocks(width).map((block) => ({ ...block, from: block.start }));

/** How large rows are in what a graph summed over a window: `2^exponents` is the next power of two above the root of `Σ y²`. */
export async function findExponents(
  names: StageNames,
  read: ReadOutput,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const found = new Map<string, readonly number[]>();
  for (const { name, size } of names.moments)
    found.set(name, exponentsOf(rootsOfDiagonal(await read(`${name}.gram`), size)));
  for (const { name, size, rows } of names.crosses)
    found.set(name, exponentsOf(columnSizes(await read(`${name}.cross`), size, found.get(rows)!)));
  return found;
}

function rootsOfDiagonal(gram: Float32Array, width: number): Float64Array {
  const roots = new Float64Array(width);
  let offset = 0;
  for (const { start, end, from } of gramRows(width))
    for (let row = start; row < end; row++) {
      roots[row] = Math.sqrt(Math.max(0, gram[offset + row - from]!));
      offset += width - from;
    }
  return roots;
}

/** No sum of squares is there for the columns `z`: what they have in common with some row `y` is of their size. */
function columnSizes(cross: Float32Array, width: number, rows: readonly number[]): Float64Array {
  const sizes = new Float64Array(width);
  for (const [row, exponent] of rows.entries()) {
    const scale = 2 ** -exponent;
    for (let column = 0; column < width; column++)
      sizes[column] = Math.max(sizes[column]!, scale * Math.abs(cross[row * width + column]!));
  }
  return sizes;
}

/** The same sums about zero, in place. */
export function putBackShifts(
  { moments, crosses }: StageResult,
  names: StageNames,
  reference: StageReference,
): StageResult {
  const about = (name: string, sum: Float64Array) => ({ sum, shift: shiftOf(reference[name]) });
  const countOf = (rows: string) => moments[rows]!.count;
  return {
    crosses: Object.fromEntries(
      names.crosses.map(({ name, rows }) => {
        const { cross, sum } = crosses[name]!;
        const [y, z, count] = [about(rows, moments[rows]!.sum), about(name, sum), countOf(rows)];
        return [name, { cross: unshiftProduct(cross, y, z, count), sum: unshiftSum(z, count) }];
      }),
    ),
    moments: Object.fromEntries(
      names.moments.map(({ name }) => {
        const { gram, sum, count, width } = moments[name]!;
        const y = about(name, sum);
        return [name, { width, count, sum: unshiftSum(y, count), gram: unshiftProduct(gram, y, y, count) }];
      }),
    ),
  };
}

const shiftOf = (reference: RowReference | undefined): Float32Array | undefined =>
  reference?.shift == null ? undefined : Float32Array.from(reference.shift);

const widthOf = (moments: readonly NamedSize[], name: string): number =>
  moments.find((named) => named.name === name)!.size;
