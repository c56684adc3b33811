import { gramBlocks, gramBlocksSize, unpackGram } from "./gram-blocks.js";
import { addPlainly, addProductOnGrid, addSumOnGrid, type ProductRows } from "./grid.js";
import type { StageReference } from "./stage-reference.js";
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
  const products = productsOf(names);
  const exponents = (name: string) => reference[name]?.exponents ?? undefined;
  return {
    async add(read) {
      for (const { name } of [...moments, ...crosses]) {
        const [total, part, own] = [totals.get(`${name}.sum`)!, await read(`${name}.sum`), exponents(name)];
        if (own === undefined) addPlainly(total, part);
        else addSumOnGrid(total, part, own);
      }
      for (const { output, y, z, layout } of products) {
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

/** The block rows of a gram. */
export const gramRows = (width: number): readonly ProductRows[] =>
  gramBlocks(width).map((block) => ({ ...block, from: block.start }));

const widthOf = (moments: readonly NamedSize[], name: string): number =>
  moments.find((named) => named.name === name)!.size;
