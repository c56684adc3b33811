import { type Emitter, emitSlice } from "@kvfold/decoder/graph";

/** Means of the turns of a head's pairs: with `c`, `s` cosine and sine of pair `j`, and those of `k`. */
export interface EmittedTurns {
  /** `[1, H, r/2, r/2]`: `E[c c'] + E[s s']` and `E[s c'] - E[c s']`. */
  readonly difference: EmittedComplex;
  /** `E[c c'] - E[s s']` and `E[s c'] + E[c s']`. */
  readonly sum: EmittedComplex;
  /** `[1, H, r/2, 1]`. */
  readonly single: EmittedComplex;
}

export interface EmittedComplex {
  readonly real: string;
  readonly imaginary: string;
}

export declare namespace emitTurnedGram {
  interface Options {
    readonly headDim: number;
    /** Numbers of a head that turn, pairs `(j, j + rotaryDim / 2)`. */
    readonly rotaryDim: number;
  }
}

/**
 * What turns do to grams `[1, H, d, d]` of heads: `turnMoments` of methods/turned-moments.ts, with means of turns for each
 * head.
 */
export function emitTurnedGram(
  e: Emitter,
  gram: string,
  turns: EmittedTurns,
  { headDim, rotaryDim }: emitTurnedGram.Options,
): string {
  const part = (row: Part, col: Part): string => {
    const at = e.at(`${row}.${col}`);
    const rows = emitSlice(at.at("rows"), gram, 2, ...endsOf(row, headDim, rotaryDim));
    return emitSlice(at.at("columns"), rows, 3, ...endsOf(col, headDim, rotaryDim));
  };
  const pairs = emitTurnedPairs(e, part, turns);
  if (rotaryDim === headDim) return emitGrid(e, pairs);
  const crossed = emitProduct(e.at("crossed"), turns.single, {
    real: part("a", "rest"),
    imaginary: part("b", "rest"),
  });
  const across = (name: string, value: string) => e.transpose(`${name}/Transpose`, value, [0, 1, 3, 2]);
  return emitGrid(e, [
    [...pairs[0], crossed.real],
    [...pairs[1], crossed.imaginary],
    [across("rest.a", crossed.real), across("rest.b", crossed.imaginary), part("rest", "rest")],
  ]);
}

/** Numbers of a head: the first of each pair, the second of each, and those that do not turn. */
type Part = "a" | "b" | "rest";

function endsOf(part: Part, headDim: number, rotaryDim: number): readonly [start: number, end: number] {
  const half = rotaryDim / 2;
  return { a: [0, half], b: [half, rotaryDim], rest: [rotaryDim, headDim] }[part] as [number, number];
}

/** With pairs as complex numbers `z`, `w`: the means of `z w*` and `z w` turn, and give the four real products back. */
function emitTurnedPairs(
  e: Emitter,
  part: (row: Part, col: Part) => string,
  { difference, sum }: Pick<EmittedTurns, "difference" | "sum">,
): readonly [readonly string[], readonly string[]] {
  const [aa, ab, ba, bb] = [part("a", "a"), part("a", "b"), part("b", "a"), part("b", "b")];
  const op = (name: string, operator: "Add" | "Sub", x: string, y: string) =>
    e.node(operator, `${name}/${operator}`, [x, y]);
  const apart = emitProduct(e.at("apart/turned"), difference, {
    real: op("apart/real", "Add", aa, bb),
    imaginary: op("apart/imaginary", "Sub", ba, ab),
  });
  const along = emitProduct(e.at("along/turned"), sum, {
    real: op("along/real", "Sub", aa, bb),
    imaginary: op("along/imaginary", "Add", ba, ab),
  });
  const half = (name: string, operator: "Add" | "Sub", x: string, y: string) =>
    e.node("Mul", `${name}/half/Mul`, [op(name, operator, x, y), e.scalar(0.5)]);
  return [
    [half("aa", "Add", along.real, apart.real), half("ab", "Sub", along.imaginary, apart.imaginary)],
    [half("ba", "Add", along.imaginary, apart.imaginary), half("bb", "Sub", apart.real, along.real)],
  ];
}

function emitProduct(e: Emitter, x: EmittedComplex, y: EmittedComplex): EmittedComplex {
  const times = (name: string, a: string, b: string) => e.node("Mul", `${name}/Mul`, [a, b]);
  return {
    real: e.node("Sub", "real/Sub", [times("rr", x.real, y.real), times("ii", x.imaginary, y.imaginary)]),
    imaginary: e.node("Add", "imaginary/Add", [
      times("ri", x.real, y.imaginary),
      times("ir", x.imaginary, y.real),
    ]),
  };
}

/** Blocks of a matrix, row by row. */
function emitGrid(e: Emitter, grid: readonly (readonly string[])[]): string {
  const joined = (name: string, axis: number, parts: readonly string[]) =>
    e.node("Concat", `${name}/Concat`, parts, { attributes: { axis } });
  return joined(
    "rows",
    2,
    grid.map((row, index) => joined(`row.${index}`, 3, row)),
  );
}
