import type { Feeds, Fetches, Results, Session, Tensor } from "@kvfold/runtime";
import { createDeviceSums, type ReadableMemory } from "./device-sums.js";
import { findExponents } from "./find-exponents.js";
import { createWindowSums } from "./host-sums.js";
import type { RowReference, StageReference } from "./stage-reference.js";
import type { StageResult } from "./stage-result.js";
import { createStageTotals, outputSizes, type StageNames } from "./stage-totals.js";
import { flat, floats, type OutputSizes, type Sums } from "./sums.js";

/**
 * The graph input, flat like the output `name`, by which a graph gets its own output of the window before, where a sum stays in
 * the memory of a device over several windows. Elsewhere it is zero: one zero where the dimension of the input is symbolic,
 * to be broadcast. For a shift ({@link shiftOf}) it is NaN in the first window, and then the shift of that one.
 */
export const soFar = (name: string): string => `${name}.so_far`;

/**
 * The output `[W]` of a graph that takes the moments `name` about a shift: sums of `y - c`, with `c` the shift. The graph
 * chooses it in a window where its input `soFar(shiftOf(name))` is NaN, and else takes what it is given. A mean far
 * from zero then costs the float32 sums of the graph no digits.
 */
export const shiftOf = (name: string): string => `${name}.shift`;

/** Sums of outputs over windows: float32 within one, or within some on a device, and float64 beyond. */
export interface RunningTotals {
  /** What the graph adds the next window to, and its shifts. */
  feeds(): Feeds;
  /** What is wanted of the next run. */
  fetches(): Exclude<Fetches, readonly string[]>;
  /** The reference that the results of a run without one give; they can still be added. */
  findReference(results: Results): Promise<StageReference>;
  /** Begins with a reference. */
  begin(reference: StageReference): void;
  add(results: Results): Promise<void>;
  /** The sums, about the shifts of the reference. Nothing can be added any more. */
  result(): Promise<StageResult>;
  /** Gives back memory of a device. */
  dispose(): void;
}

/** What matters here of a session. */
type TotalsSession = Pick<Session, "inputs"> & Partial<Pick<Session, "memory" | "writesInPlace">>;

/** Totals over windows of `length` rows, all zero. They stay on a device whose memory can be read. */
export function createRunningTotals(
  session: TotalsSession,
  names: StageNames,
  length: number,
): RunningTotals {
  const sums = createSums(session, outputSizes(names));
  const shifts = createShifts(session, names);
  let totals = createStageTotals(names, {});
  let [windows, unsettled] = [0, 0];
  const settle = async () => {
    if (unsettled > 0) await totals.add((output) => sums.read(output));
    sums.clear();
    unsettled = 0;
  };
  return {
    feeds: () => feedsOf([...sums.soFar(), ...shifts.soFar()]),
    fetches: () => ({ ...sums.fetches(), ...shifts.fetches() }),
    async findReference(results) {
      const exponents = sums.isOnDevice ? undefined : await findExponents(names, readFrom(results));
      return referenceOf(names, (name) => ({
        shift: shifts.find(results, name),
        exponents: exponents?.get(name) ?? null,
      }));
    },
    begin(reference) {
      totals = createStageTotals(names, reference);
      shifts.set(reference);
    },
    async add(results) {
      sums.take(results);
      windows++;
      if (++unsettled === sums.windows) await settle();
    },
    async result() {
      await settle();
      return totals.result(windows * length);
    },
    dispose: () => sums.clear(),
  };
}

const readFrom =
  (results: Results) =>
  async (output: string): Promise<Float32Array> =>
    floats(results[output]!);

const referenceOf = (
  { moments, crosses }: StageNames,
  find: (name: string) => RowReference,
): StageReference => Object.fromEntries([...moments, ...crosses].map(({ name }) => [name, find(name)]));

function createSums(session: TotalsSession, sizes: OutputSizes): Sums {
  const { memory, writesInPlace = false } = session;
  const zeros = zerosFor(session, sizes);
  return writesInPlace && memory?.read !== undefined && zeros.size === sizes.size
    ? createDeviceSums(memory as ReadableMemory, sizes)
    : createWindowSums(sizes, zeros);
}

/** Nothing so far, for the outputs that the graph adds to what it is given. */
function zerosFor({ inputs }: TotalsSession, sizes: OutputSizes): ReadonlyMap<string, Tensor> {
  const zeros = new Map<string, Tensor>();
  for (const [name, size] of sizes) {
    const input = inputs.find((each) => each.name === soFar(name));
    const isWhole = typeof input?.shape[0] === "number";
    if (input !== undefined) zeros.set(name, flat(new Float32Array(isWhole ? size : 1)));
  }
  return zeros;
}

/** The shifts of those moments that the graph takes about one: NaN until they are set. */
function createShifts({ inputs }: TotalsSession, { moments, crosses }: StageNames) {
  const shifted = [...moments, ...crosses].filter(({ name }) =>
    inputs.some((input) => input.name === soFar(shiftOf(name))),
  );
  let shifts: ReadonlyMap<string, Tensor> = new Map(
    shifted.map(({ name, size }) => [shiftOf(name), flat(new Float32Array(size).fill(Number.NaN))]),
  );
  let isSet = false;
  return {
    soFar: () => shifts,
    fetches: () => (isSet ? {} : Object.fromEntries([...shifts.keys()].map((name) => [name, null]))),
    find: (results: Results, name: string): readonly number[] | null =>
      shifts.has(shiftOf(name)) ? Array.from(floats(results[shiftOf(name)]!)) : null,
    set(reference: StageReference): void {
      const values = (name: string) => Float32Array.from(reference[name]?.shift ?? []);
      shifts = new Map(shifted.map(({ name }) => [shiftOf(name), flat(values(name))]));
      isSet = true;
    },
  };
}

const feedsOf = (values: readonly (readonly [string, Tensor])[]): Feeds =>
  Object.fromEntries(values.map(([name, tensor]) => [soFar(name), tensor]));
