import { checkCounts, checkLength, checkRotaryDim, countRows } from "./internal/check-shape.js";
import { type FloatArray, zerosLike } from "./internal/float-array.js";
import { permuteColumns } from "./permute-matrix.js";
import { pairStrides, type RopeLayout } from "./rope-layout.js";

export declare namespace layoutPermutation {
  interface Options {
    readonly from: RopeLayout;
    readonly to: RopeLayout;
    /** Numbers per head. */
    readonly headDim: number;
    /** How many of them, from the first on, are in pairs. Default `headDim`. */
    readonly rotaryDim?: number;
    /** Heads side by side. Default 1. */
    readonly heads?: number;
  }
}

/**
 * The permutation that takes heads from one layout to another: number i of the result is number `permutation[i]` of the
 * source. With {@link permuteColumns} (`y = x W`) or {@link permuteRows} (Hugging Face's `[out, in]` weights) it moves a
 * query or key projection, and its bias, to the other layout; attention scores do not change when both move.
 *
 * @returns `[heads · headDim]`
 * @throws {RopeError} `invalid-argument` for dimensions that do not fit.
 *
 * @example
 * ```ts
 * import { layoutPermutation } from "@kvfold/rope";
 *
 * const permutation = layoutPermutation({ from: "half-split", to: "interleaved", headDim: 6, rotaryDim: 4 });
 * Array.from(permutation) // => [0, 2, 1, 3, 4, 5]
 * ```
 */
export function layoutPermutation(options: layoutPermutation.Options): Int32Array {
  const { from, to, headDim, rotaryDim = headDim, heads = 1 } = options;
  checkCounts("layoutPermutation", { heads });
  checkRotaryDim("layoutPermutation", rotaryDim, headDim);
  const source = pairStrides(from, rotaryDim / 2);
  const target = pairStrides(to, rotaryDim / 2);
  const permutation = Int32Array.from({ length: heads * headDim }, (_, index) => index);
  for (let head = 0; head < permutation.length; head += headDim) {
    for (let pair = 0; pair < rotaryDim / 2; pair++) {
      permutation[head + pair * target.step] = head + pair * source.step;
      permutation[head + pair * target.step + target.gap] = head + pair * source.step + source.gap;
    }
  }
  return permutation;
}

export declare namespace convertLayout {
  interface Options<A extends FloatArray = FloatArray> {
    readonly from: RopeLayout;
    readonly to: RopeLayout;
    /** Numbers per head. */
    readonly headDim: number;
    /** How many of them, from the first on, are in pairs. Default `headDim`. */
    readonly rotaryDim?: number;
    /** Where to write; must not share memory with the input. Default: a new array. */
    readonly out?: A;
  }
}

/**
 * Reorders every head of `x`, `[..., headDim]`, from one layout to the other.
 *
 * Numerics: moves numbers only, so going there and back is exact.
 *
 * @returns The reordered array, of the shape of `x`: `out` where given.
 * @throws {RopeError} `shape-mismatch` when `x` or `out` does not fit; `invalid-argument` when they share memory.
 *
 * @example
 * ```ts
 * import { convertLayout } from "@kvfold/rope";
 *
 * const head = new Float32Array([1, 2, 10, 20]);
 * Array.from(convertLayout(head, { from: "half-split", to: "interleaved", headDim: 4 })) // => [1, 10, 2, 20]
 * ```
 */
export function convertLayout<A extends FloatArray>(x: A, options: convertLayout.Options<A>): A {
  const { headDim, out = zerosLike(x, x.length) } = options;
  const permutation = layoutPermutation(options);
  const rows = countRows("convertLayout", "x", x.length, headDim, "[..., headDim]");
  checkLength("convertLayout", "out", out.length, x.length, "as x");
  return permuteColumns(x, { rows, columns: headDim, permutation, out });
}
