import { type Feeds, type Results, type Session, Tensor } from "@kvfold/runtime";

/** Windows that a graph adds up by itself: sums of float32 lose a unit in the last place or two over so few. */
const RUN_WINDOWS = 8;

/**
 * The input, flat like the output `name`, that a graph may add to it: the sum over the windows before. Adding up is
 * then a millisecond of the runtime's instead of ten in JavaScript.
 */
export const soFar = (name: string): string => `${name}.so_far`;

/** Sums of outputs over windows: float32 over a few in the graph, where it has the inputs for it, and float64 beyond. */
export interface RunningTotals {
  /** What the graph is to add the next window to. */
  feeds(): Feeds;
  add(results: Results): void;
  /** The sums by name. */
  result(): ReadonlyMap<string, Float64Array>;
}

/** Totals of outputs with these numbers of elements, all zero. */
export function createRunningTotals(
  { inputs }: Pick<Session, "inputs">,
  sizes: ReadonlyMap<string, number>,
): RunningTotals {
  const totals = new Map([...sizes].map(([name, size]) => [name, new Float64Array(size)]));
  const inGraph = [...sizes].filter(([name]) => inputs.some((input) => input.name === soFar(name)));
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
    feeds: () => Object.fromEntries([...partial].map(([name, tensor]) => [soFar(name), tensor])),
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

function addInto(total: Float64Array, window: Float32Array): void {
  for (let i = 0; i < total.length; i++) total[i]! += window[i]!;
}

const flat = (values: Float32Array): Tensor => new Tensor("float32", values, [values.length]);

const floats = (tensor: Tensor): Float32Array => tensor.data as Float32Array;
