import { describe, expect, it } from "vitest";
import { maxDifference } from "../../test/max-difference.js";
import { randomMatrix } from "../../test/random-matrix.js";
import { recordingProducts } from "../../test/recording-products.js";
import { createMatrix, type Matrix, transpose } from "../matrix.js";
import { plainProducts } from "../matrix-products.js";
import { type ProductStep, runInPlace, runThrough, type Steps } from "./steps.js";
import { transposeView, type View, viewOf, windowOf } from "./view.js";

const size = 70;
const whole = (seed: number): View => viewOf(randomMatrix(size, size, seed));
/** A window of `[size, size]` values that do not lie side by side. */
const inner = (seed: number): View => windowOf(viewOf(randomMatrix(90, 90, seed)), 3, 3 + size, 7, 7 + size);

function* oneStep(step: ProductStep): Steps<string> {
  yield step;
  return "done";
}

/** What a step makes of a fresh target, in place and through a port. */
async function outcomes(left: View, right: View, products = plainProducts) {
  const run = async (work: (steps: Steps<string>) => string | Promise<string>): Promise<Matrix> => {
    const target = randomMatrix(90, 90, 1);
    const step = { target: windowOf(viewOf(target), 5, 5 + size, 11, 11 + size), left, right, factor: -2 };
    expect(await work(oneStep(step))).toBe("done");
    return target;
  };
  return { inPlace: await run(runInPlace), through: await run((steps) => runThrough(products, steps)) };
}

describe("runThrough", () => {
  it.each([
    ["multiply", whole(2), whole(3)],
    ["multiply", inner(2), inner(3)],
    ["multiplyTransposed", inner(2), transposeView(inner(3))],
    ["transposeMultiply", transposeView(whole(2)), whole(3)],
    ["multiplyTransposed", transposeView(inner(2)), transposeView(inner(3))],
  ] as const)("adds in place what the port's %s makes", async (method, left, right) => {
    const { products, work } = recordingProducts();
    const { inPlace, through } = await outcomes(left, right, products);
    // Sums of 70 products, in whatever order.
    expect(maxDifference(inPlace, through)).toBeLessThan(1e-13);
    expect(work[method]).toBe(size ** 3);
  });

  it("keeps small products to itself", async () => {
    const { products, work } = recordingProducts();
    const left = windowOf(whole(2), 0, size, 0, 2);
    const right = windowOf(whole(3), 0, 2, 0, size);
    const { inPlace, through } = await outcomes(left, right, products);
    expect(through).toEqual(inPlace);
    expect(work).toEqual({ multiply: 0, multiplyTransposed: 0, transposeMultiply: 0 });
  });

  it("hands matrices that lie whole in memory over as they are", async () => {
    const [left, right] = [randomMatrix(size, size, 2), randomMatrix(size, size, 3)];
    const seen: Float64Array[] = [];
    const products = {
      ...plainProducts,
      multiply(a: Matrix, b: Matrix) {
        seen.push(a.data, b.data);
        return plainProducts.multiply(a, b);
      },
    };
    await outcomes(viewOf(left), viewOf(right), products);
    expect(seen.map(({ buffer }) => buffer)).toEqual([left.data.buffer, right.data.buffer]);
    expect(seen[0]!.buffer).toBe(left.data.buffer);
  });

  it("copies the windows of all products to the same memory, each side to its own", async () => {
    const seen: Float64Array[] = [];
    const products = {
      ...plainProducts,
      multiply(a: Matrix, b: Matrix) {
        seen.push(a.data, b.data);
        return plainProducts.multiply(a, b);
      },
    };
    const target = createMatrix(size, size);
    const views = [inner(2), inner(3), inner(4)] as const;
    function* twoSteps(): Steps<void> {
      yield { target: viewOf(target), left: views[0], right: views[1], factor: 1 };
      yield { target: viewOf(target), left: views[2], right: views[1], factor: 1 };
    }
    await runThrough(products, twoSteps());
    const [left, right, nextLeft, nextRight] = seen.map(({ buffer }) => buffer);
    expect([nextLeft, nextRight]).toEqual([left, right]);
    expect(nextLeft).toBe(left);
    expect(left).not.toBe(right);
    const expected = createMatrix(size, size);
    runInPlace(oneStep({ target: viewOf(expected), left: views[0], right: views[1], factor: 1 }));
    runInPlace(oneStep({ target: viewOf(expected), left: views[2], right: views[1], factor: 1 }));
    expect(maxDifference(target, expected)).toBeLessThan(1e-13);
  });

  it.each([
    ["rows", windowOf(viewOf(randomMatrix(9000, 7, 2)), 0, 9000, 2, 6)],
    ["columns", transposeView(windowOf(viewOf(randomMatrix(7, 9000, 2)), 2, 6, 0, 9000))],
    ["columns side by side", transposeView(viewOf(randomMatrix(4, 9000, 2)))],
  ] as const)("makes a large product in bands, of %s that it copies one by one", async (_, left) => {
    const right = viewOf(randomMatrix(4, 512, 3));
    const heights: number[] = [];
    const recorded = (name: "multiply" | "transposeMultiply") => async (a: Matrix, b: Matrix) => {
      const product = await plainProducts[name](a, b);
      heights.push(product.rows);
      return product;
    };
    const products = {
      ...plainProducts,
      multiply: recorded("multiply"),
      transposeMultiply: recorded("transposeMultiply"),
    };
    const [inPlace, through] = [createMatrix(9000, 512), createMatrix(9000, 512)];
    runInPlace(oneStep({ target: viewOf(inPlace), left, right, factor: 2 }));
    await runThrough(products, oneStep({ target: viewOf(through), left, right, factor: 2 }));
    // 2^21 numbers of 512 columns.
    expect(heights).toEqual([4096, 4096, 808]);
    // Sums of four products, in the same order.
    expect(maxDifference(inPlace, through)).toBe(0);
  });

  it("refuses a product of the wrong shape, and passes on what the port throws", async () => {
    const wide = { ...plainProducts, multiply: async () => createMatrix(size, 1) };
    await expect(outcomes(whole(2), whole(3), wide)).rejects.toThrow(
      /MatrixProducts: expected the product to be \[70, 70\], found \[70, 1\]/,
    );
    const failing = { ...plainProducts, multiply: () => Promise.reject(new Error("out of memory")) };
    await expect(outcomes(whole(2), whole(3), failing)).rejects.toThrow("out of memory");
  });
});

describe("plainProducts", () => {
  it("means what its names say", async () => {
    const a = randomMatrix(3, 4, 1);
    const b = randomMatrix(4, 5, 2);
    const product = await plainProducts.multiply(a, b);
    expect(product).toMatchObject({ rows: 3, cols: 5 });
    expect(await plainProducts.multiplyTransposed(a, transpose(b))).toEqual(product);
    expect(await plainProducts.transposeMultiply(transpose(a), b)).toEqual(product);
  });
});
