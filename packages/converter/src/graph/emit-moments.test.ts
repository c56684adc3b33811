import { memoryHiddenStates, runStage, type StageResult, streamFeeds } from "@kvfold/calibration";
import { windowGraph } from "@kvfold/decoder/graph";
import { covariance } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { emitCross, emitMoments, emitShiftedRows, emitTurnedRows } from "./emit-moments.js";

const WIDTH = 300; // two gram blocks
const TARGETS = 2;
const LENGTH = 64;
const WINDOWS = 10;

/** Windows of `y [LENGTH, WIDTH + TARGETS]`: float32 numbers, so that their sums in float64 are what is to be found. */
const windowsOf = (number: (window: number, column: number) => number): readonly Float32Array[] =>
  Array.from({ length: WINDOWS }, (_, window) =>
    Float32Array.from({ length: LENGTH * (WIDTH + TARGETS) }, (_unused, index) =>
      number(window, index % (WIDTH + TARGETS)),
    ),
  );

/** Moments of the first `WIDTH` columns and their cross moment with the others, by the graph. */
async function measure(windows: readonly Float32Array[]): Promise<StageResult> {
  const { config } = await syntheticCheckpoint({ config: tinyLlama });
  const graph = windowGraph(config, LENGTH, ({ e, input }) => {
    const [y, z] = [input("y", WIDTH), input("z", TARGETS)];
    const rows = emitTurnedRows(e.at("rows"), "rows", y, WIDTH);
    emitMoments(e.at("rows"), "rows", rows);
    const targets = emitShiftedRows(e.at("target"), "target", z, TARGETS);
    emitCross(e.at("target"), "target", rows, targets);
  });
  const session = await nodeProvider().createSession(graph);
  try {
    const streams = { y: await columns(windows, 0, WIDTH), z: await columns(windows, WIDTH, TARGETS) };
    return await runStage({
      session,
      windows: WINDOWS,
      length: LENGTH,
      feeds: streamFeeds(streams, LENGTH),
      moments: [{ name: "rows", size: WIDTH }],
      crosses: [{ name: "target", size: TARGETS, rows: "rows" }],
    });
  } finally {
    await session.dispose();
  }
}

async function columns(windows: readonly Float32Array[], start: number, width: number) {
  const states = await memoryHiddenStates(windows.length, LENGTH * width);
  for (const [index, window] of windows.entries()) {
    const at = (i: number) => Math.floor(i / width) * (WIDTH + TARGETS) + start + (i % width);
    await states.write(
      index,
      Float32Array.from({ length: LENGTH * width }, (_, i) => window[at(i)]!),
    );
  }
  return states;
}

/** `E[(a - E a)(b - E b)]` of two columns in two passes, in float64. */
function twoPass(windows: readonly Float32Array[], a: number, b: number): number {
  const column = (index: number) =>
    windows.flatMap((window) =>
      Array.from({ length: LENGTH }, (_, row) => window[row * (WIDTH + TARGETS) + index]!),
    );
  const centred = (values: readonly number[]) => {
    const mean = values.reduce((sum, value) => sum + value) / values.length;
    return values.map((value) => value - mean);
  };
  const [one, other] = [centred(column(a)), centred(column(b))];
  return one.reduce((sum, value, row) => sum + value * other[row]!, 0) / one.length;
}

describe("moments of rows far from zero", () => {
  const next = gaussians(5);
  // A mean of 1000 standard deviations, drifting by one from window to window; and another sign and size for each column.
  const meanOf = (window: number, column: number) => (1000 + window) * (-1) ** column * (1 + column / WIDTH);
  const windows = windowsOf((window, column) => meanOf(window, column) + next());
  const measured = measure(windows);

  it("have the variances to 1e-5", async () => {
    const { rows } = (await measured).moments;
    const { data } = covariance(rows!);
    for (const [a, b] of [
      [0, 0],
      [0, 1],
      [WIDTH - 1, WIDTH - 1],
      [7, WIDTH - 1],
    ] as const) {
      const scale = Math.sqrt(twoPass(windows, a, a) * twoPass(windows, b, b));
      // Float32 sums of numbers around 10: some 1e-7 each.
      expect(Math.abs(data[a * WIDTH + b]! - twoPass(windows, a, b)) / scale).toBeLessThan(1e-5);
    }
  });

  it("have the covariances with a target far from zero to 1e-5", async () => {
    const { moments, crosses } = await measured;
    const { sum, count } = moments.rows!;
    const { cross, sum: target } = crosses.target!;
    for (const [a, b] of [
      [0, 0],
      [WIDTH - 1, 1],
    ] as const) {
      const found = cross[a * TARGETS + b]! / count - (sum[a]! / count) * (target[b]! / count);
      const expected = twoPass(windows, a, WIDTH + b);
      expect(Math.abs(found / expected - 1)).toBeLessThan(1e-5);
    }
  });

  it("are exact where all numbers are whole: the shift is put back without a rest", async () => {
    // Deviations of up to 3 from a whole mean: their sums in float32 are exact, and all sums below 2^53.
    const whole = windowsOf((_, column) => 5000 + column + Math.round(3 * Math.tanh(next())));
    // The first window's mean is to be whole too.
    whole[0]!.forEach((_, index, window) => {
      window[index] = 5000 + (index % (WIDTH + TARGETS));
    });
    const column = whole.flatMap((window) =>
      Array.from(window.filter((_, i) => i % (WIDTH + TARGETS) === 1)),
    );
    const { rows } = (await measure(whole)).moments;
    expect(rows!.count).toBe(column.length);
    expect(rows!.sum[1]).toBe(column.reduce((sum, value) => sum + value, 0));
    expect(rows!.gram[WIDTH + 1]).toBe(column.reduce((sum, value) => sum + value * value, 0));
  });
});
