import { type Feeds, type Results, type Session, Tensor } from "@kvfold/runtime";

/** Windows that a graph adds up by itself: sums of float32 lose a unit in the last place or two over so few. */
const RUN_WINDOWS = 8;

/**
 * The graph input, flat like the output `name`, by which a graph gets its own output of the window before. For a sum
 * that is the total so far, zeros at first: adding up takes ONNX Runtime a millisecond, and JavaScript ten. For a shift
 * ({@link shiftOf}) it is the shift of the first window, NaN as long as there is none.
 */
export const soFar = (name: string): string => `${name}.so_far`;

/**
 * The output `[W]` of a graph that takes the moments `name` about a shift: sums of `y - c`, with `c` the shift. The graph
 * chooses it in the first window, where its input `soFar(shiftOf(name))` is NaN, and keeps it from then on. A mean far
 * from zero then costs the float32 sums of the graph no digits.
 */
export const shiftOf = (name: string): string => `${name}.shift`;

/** Sums of outputs over windows: float32 over a few in the graph, where it has the inputs for it, and float64 beyond. */
export interface RunningTotals {
  /** What the graph adds the next window to, and the shifts of the first window. */
  feeds(): Feeds;
  add(results: Results): void;
  /** The sums by name. */
  result(): ReadonlyMap<string, Float64Array>;
  /** The shift of the moments `name`, `undefined` where the graph takes them about zero. */
  shift(name: string): Float32Array | undefined;
}

/** What a graph puts out for its windows together: sums of so many elements, and the shifts of moments `[W]`, by name. */
export interface TotalSizes {
  readonly sums: ReadonlyMap<string, number>;
  /** By the name of the moments. A graph need not have them. */
  readonly shifts: ReadonlyMap<string, number>;
}

/** Totals of outputs with these numbers of elements, all zero. */
export function createRunningTotals({ inputs }: Pick<Session, "inputs">, sizes: TotalSizes): RunningTotals {
  const takes = (name: string) => inputs.some((input) => input.name === soFar(name));
  const sums = createSums(sizes.sums, takes);
  const shifts = createShifts([...sizes.shifts].filter(([name]) => takes(shiftOf(name))));
  return {
    feeds: () => ({ ...sums.feeds(), ...shifts.feeds() }),
    add(results) {
      sums.add(results);
      shifts.take(results);
    },
    result: sums.result,
    shift: shifts.get,
  };
}

function createSums(
  sizes: ReadonlyMap<string, number>,
  takes: (name: string) => boolean,
): Pick<RunningTotals, "feeds" | "add" | "result"> {
  const totals = new Map([...sizes].map(([name, size]) => [name, new Float64Array(size)]));
  const inGraph = [...sizes].filter(([name]) => takes(name));
  const zeros = new Map(inGraph.map(([name, size]) => [name, flat(new Float32Array(size))]));
  const elsewhere = [...sizes.keys()].filter((name) => !zeros.has(name));
  let partial: ReadonlyMap<string, Tensor> = zeros;
  let windows = 0;
  const settle = () => {
    if (windows === 0) return;
    for (const [name, tensor] of partial) addInto(totals.get(name)!, floats(tensor));
    partial = zeros;
    windows = 0;
  };
  return {
    feeds: () => feedsOf(partial),
    add(results) {
      for (const name of elsewhere) addInto(totals.get(name)!, floats(results[name]!));
      partial = new Map(inGraph.map(([name]) => [name, flat(floats(results[name]!))]));
      if (++windows === RUN_WINDOWS) settle();
    },
    result() {
      settle();
      return totals;
    },
  };
}

/** The shifts of these moments: NaN until the first window is run, and what the graph made of it from then on. */
function createShifts(sizes: readonly (readonly [name: string, size: number])[]) {
  let shifts: ReadonlyMap<string, Tensor> = new Map(
    sizes.map(([name, size]) => [shiftOf(name), flat(new Float32Array(size).fill(Number.NaN))]),
  );
  let taken = false;
  return {
    feeds: () => feedsOf(shifts),
    take(results: Results): void {
      if (taken) return;
      shifts = new Map([...shifts.keys()].map((name) => [name, flat(floats(results[name]!).slice())]));
      taken = true;
    },
    get: (name: string): Float32Array | undefined => {
      const shift = shifts.get(shiftOf(name));
      return shift && floats(shift);
    },
  };
}

const feedsOf = (values: ReadonlyMap<string, Tensor>): Feeds =>
  Object.fromEntries([...values].map(([name, tensor]) => [soFar(name), tensor]));

function addInto(total: Float64Array, window: Float32Array): void {
  for (let i = 0; i < total.length; i++) total[i]! += window[i]!;
}

const flat = (values: Float32Array): Tensor => new Tensor("float32", values, [values.length]);

const floats = (tensor: Tensor): Float32Array => tensor.data as Float32Array;
