import {
  createMatrix,
  leadingEigen,
  type Matrix,
  multiply,
  multiplyTransposed,
  obliqueBasis,
  projector,
  ridgeSolve,
  symmetricEigen,
  transposeMultiply,
} from "@kvfold/linalg";
import { gaussians, RuntimeError, type SessionProvider } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OnnxProducts, onnxProducts } from "./onnx-products.js";

function randomMatrix(rows: number, cols: number, seed: number): Matrix {
  const next = gaussians(seed);
  return createMatrix(rows, cols, Float64Array.from({ length: rows * cols }, next));
}

const randomGram = (n: number, seed: number): Matrix => {
  const rows = randomMatrix(2 * n, n, seed);
  return transposeMultiply(rows, rows);
};

/** `max |a - b|`, relative to the largest of `b`. */
function difference(a: Matrix, b: Matrix): number {
  expect([a.rows, a.cols]).toEqual([b.rows, b.cols]);
  const largest = b.data.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
  return a.data.reduce((peak, value, i) => Math.max(peak, Math.abs(value - b.data[i]!)), 0) / largest;
}

let products: OnnxProducts;

beforeAll(async () => {
  products = await onnxProducts(nodeProvider(), { threads: 1 });
});

afterAll(() => products.dispose());

describe("onnxProducts", () => {
  it.each([
    [1, 1, 1],
    [3, 5, 2],
    [1, 40, 7],
    [130, 65, 33],
  ])("makes products in float64, [%i, %i] by %i columns", async (m, k, n) => {
    const [a, b] = [randomMatrix(m, k, 1), randomMatrix(k, n, 2)];
    const [aT, bT] = [randomMatrix(k, m, 3), randomMatrix(n, k, 4)];
    // Sums of up to 65 products in another order: float32 would be off by 1e-7.
    const tolerance = 1e-14;
    expect(difference(await products.multiply(a, b), multiply(a, b))).toBeLessThan(tolerance);
    expect(difference(await products.multiplyTransposed(a, bT), multiplyTransposed(a, bT))).toBeLessThan(
      tolerance,
    );
    expect(difference(await products.transposeMultiply(aT, b), transposeMultiply(aT, b))).toBeLessThan(
      tolerance,
    );
  });

  it("reads a matrix that is part of a larger array, and writes into neither", async () => {
    const values = randomMatrix(4, 3, 5).data;
    const before = values.slice();
    const part = createMatrix(2, 3, values.subarray(3, 9));
    const square = createMatrix(3, 3, values.subarray(3));
    expect(difference(await products.multiply(part, square), multiply(part, square))).toBeLessThan(1e-14);
    expect(values).toEqual(before);
  });

  it("serves leadingEigen", async () => {
    const gram = randomGram(200, 6);
    const { values, vectors } = await leadingEigen(gram, 50, { products });
    const full = symmetricEigen(gram);
    // n roundings of the largest value; for the vectors over a relative gap of about 1e-3.
    expect(
      difference(createMatrix(1, 50, values), createMatrix(1, 50, full.values.slice(0, 50))),
    ).toBeLessThan(1e-12);
    const cut = createMatrix(
      200,
      50,
      full.vectors.data.filter((_, index) => index % 200 < 50),
    );
    expect(difference(vectors, cut)).toBeLessThan(1e-9);
  });

  it("serves ridgeSolve and obliqueBasis", async () => {
    const system = { gram: randomGram(150, 7), cross: randomMatrix(150, 80, 8), lambda: 0.1 };
    expect(difference(await ridgeSolve({ ...system, products }), await ridgeSolve(system))).toBeLessThan(
      1e-12,
    );
    const problem = { covariance: system.gram, metric: randomGram(150, 9), rank: 60 };
    const [ours, plain] = [await obliqueBasis({ ...problem, products }), await obliqueBasis(problem)];
    // Condition number of the metric's root up to 1000.
    expect(difference(projector(ours), projector(plain))).toBeLessThan(1e-9);
    expect(ours.retained).toBeCloseTo(plain.retained, 12);
  });

  it("reports shapes that do not fit", async () => {
    await expect(products.multiply(randomMatrix(2, 3, 1), randomMatrix(2, 3, 1))).rejects.toMatchObject({
      code: "run-failed",
    });
  });

  it("frees its sessions, once, also when one of them cannot be opened", async () => {
    const counted = countingProvider(Number.POSITIVE_INFINITY);
    const own = await onnxProducts(counted.provider);
    expect(counted.open()).toBe(3);
    await own.dispose();
    await own.dispose();
    expect(counted.open()).toBe(0);
    await expect(own.multiply(createMatrix(1, 1), createMatrix(1, 1))).rejects.toMatchObject({
      code: "disposed",
    });
    const failing = countingProvider(2);
    await expect(onnxProducts(failing.provider)).rejects.toThrow("out of sessions");
    expect(failing.open()).toBe(0);
  });
});

describe("onnxProducts with other threads for large products", () => {
  it("makes them in sessions of their own, which it frees as well", async () => {
    const real = nodeProvider();
    const [threads, runs]: [(number | undefined)[], (number | undefined)[]] = [[], []];
    const provider: SessionProvider = {
      name: "recording",
      async createSession(source, options) {
        const session = await real.createSession(source, options);
        threads.push(options?.threads);
        return Object.assign(Object.create(session) as typeof session, {
          run: (feeds: Parameters<typeof session.run>[0]) => {
            runs.push(options?.threads);
            return session.run(feeds);
          },
          dispose: () => session.dispose(),
        });
      },
    };
    const own = await onnxProducts(provider, { threads: 1, largeThreads: 2 });
    expect(threads).toEqual([1, 1, 1, 2, 2, 2]);
    // 2^28 multiply-adds, and half of them, on few numbers.
    const [a, half] = [randomMatrix(512, 1024, 1), randomMatrix(256, 1024, 2)];
    const b = randomMatrix(1024, 512, 3);
    // The same sums in whatever order: 1024 products each.
    expect(difference(await own.multiply(a, b), await products.multiply(a, b))).toBeLessThan(1e-13);
    await own.multiply(half, b);
    expect(runs).toEqual([2, 1]);
    await own.dispose();
    await expect(own.multiply(half, b)).rejects.toMatchObject({ code: "disposed" });
    await expect(own.multiply(a, b)).rejects.toMatchObject({ code: "disposed" });
  });

  it("frees what it has opened when the others cannot be", async () => {
    const failing = countingProvider(5);
    await expect(onnxProducts(failing.provider, { threads: 1, largeThreads: 2 })).rejects.toThrow(
      "out of sessions",
    );
    expect(failing.open()).toBe(0);
  });
});

/** Counts its open sessions and refuses to make more than `limit`. */
function countingProvider(limit: number): { provider: SessionProvider; open: () => number } {
  const real = nodeProvider();
  let made = 0;
  let closed = 0;
  const createSession: SessionProvider["createSession"] = async (source, options) => {
    if (made === limit) throw new RuntimeError("session-failed", "out of sessions");
    const session = await real.createSession(source, options);
    made++;
    let disposed = false;
    return {
      inputs: session.inputs,
      outputs: session.outputs,
      writesInPlace: session.writesInPlace,
      run: (feeds, fetches) => session.run(feeds, fetches),
      async dispose() {
        if (!disposed) closed++;
        disposed = true;
        await session.dispose();
      },
    };
  };
  return { provider: { name: "counting", createSession }, open: () => made - closed };
}
