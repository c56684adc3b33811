import type { Feeds, Fetches, Results, Session, Tensor } from "@kvfold/runtime";
import { createDeviceSums, type ReadableMemory } from "./device-sums.js";
import { createGraphSums, createWindowSums } from "./host-sums.js";
import { flat, floats, type SumSizes, type Sums } from "./sums.js";

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

/** Sums of outputs over windows: float32 over some in the graph, where it has the inputs for it, and float64 beyond. */
export interface RunningTotals {
  /** What the graph adds the next window to, and the shifts of the first window. */
  feeds(): Feeds;
  /** What is wanted of the next run. */
  fetches(): Exclude<Fetches, readonly string[]>;
  add(results: Results): Promise<void>;
  /** The sums by name. */
  result(): Promise<ReadonlyMap<string, Float64Array>>;
  /** The shift of the moments `name`, `undefined` where the graph takes them about zero. */
  shift(name: string): Float32Array | undefined;
  /** Gives back memory of a device. */
  dispose(): void;
}

/** What a graph puts out for its windows together: sums of so many elements, and the shifts of moments `[W]`, by name. */
export interface TotalSizes {
  readonly sums: SumSizes;
  /** By the name of the moments. A graph need not have them. */
  readonly shifts: ReadonlyMap<string, number>;
}

/** What matters here of a session. */
type TotalsSession = Pick<Session, "inputs"> & Partial<Pick<Session, "memory" | "writesInPlace">>;

/** Totals of outputs with these numbers of elements, all zero. They stay on a device whose memory can be read. */
export function createRunningTotals(session: TotalsSession, sizes: TotalSizes): RunningTotals {
  const takes = (name: string) => session.inputs.some((input) => input.name === soFar(name));
  const parts = createSums(session, sizes.sums, takes);
  const shifts = createShifts([...sizes.shifts].filter(([name]) => takes(shiftOf(name))));
  return {
    feeds: () => ({ ...feedsOf(parts.flatMap((part) => [...part.totals()])), ...shifts.feeds() }),
    fetches: () => Object.assign({}, ...parts.map((part) => part.fetches()), shifts.fetches()),
    async add(results) {
      for (const part of parts) await part.add(results);
      shifts.take(results);
    },
    async result() {
      const results = await Promise.all(parts.map((part) => part.result()));
      return new Map(results.flatMap((result) => [...result]));
    },
    shift: shifts.get,
    dispose() {
      for (const part of parts) part.dispose();
    },
  };
}

function createSums(
  { memory, writesInPlace = false }: TotalsSession,
  { sizes, rooms }: SumSizes,
  takes: (name: string) => boolean,
): readonly Sums[] {
  const inGraph = { sizes: new Map([...sizes].filter(([name]) => takes(name))), rooms };
  const elsewhere = { sizes: new Map([...sizes].filter(([name]) => !takes(name))), rooms };
  const device = writesInPlace && memory?.read !== undefined ? (memory as ReadableMemory) : undefined;
  return [
    device === undefined ? createGraphSums(inGraph) : createDeviceSums(device, inGraph),
    createWindowSums(elsewhere),
  ];
}

/** The shifts of these moments: NaN until the first window is run, and what the graph made of it from then on. */
function createShifts(sizes: readonly (readonly [name: string, size: number])[]) {
  let shifts: ReadonlyMap<string, Tensor> = new Map(
    sizes.map(([name, size]) => [shiftOf(name), flat(new Float32Array(size).fill(Number.NaN))]),
  );
  let taken = false;
  return {
    feeds: () => feedsOf(shifts),
    fetches: () => (taken ? {} : Object.fromEntries([...shifts.keys()].map((name) => [name, null]))),
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

const feedsOf = (values: Iterable<readonly [string, Tensor]>): Feeds =>
  Object.fromEntries([...values].map(([name, tensor]) => [soFar(name), tensor]));
