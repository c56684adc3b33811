import { checkCounts, checkLength, checkRotaryDim, countRows } from "./internal/check-shape.js";
import type { FloatArray } from "./internal/float-array.js";
import { type PairStrides, pairStrides, type RopeLayout } from "./rope-layout.js";
import type { RopeTables } from "./rope-tables.js";

export declare namespace applyRope {
  interface Options<A extends FloatArray = FloatArray> {
    /** One row per token; see {@link applyRope} for how rows and tokens meet. */
    readonly tables: RopeTables<FloatArray>;
    /** Heads per token. Pass 1 for a heads-first array `[batch, heads, tokens, headDim]`. */
    readonly heads: number;
    /** Numbers per head; those beyond `2 · tables.width` pass through unchanged. */
    readonly headDim: number;
    /** Default `"half-split"`. */
    readonly layout?: RopeLayout;
    /** Where to write, `x` itself included. Default: a new array. */
    readonly out?: A;
  }
}

/**
 * Rotates queries or keys: pair j of every head of token p turns by `p · inverseFrequencies[j]`.
 *
 * `x` is `[..., tokens, heads, headDim]` with `tokens = tables.length`: leading axes repeat the tables. So a batch whose
 * sequences have positions of their own takes tables with one row per token of the batch, and an array with heads first,
 * `[batch, heads, tokens, headDim]`, is one with `heads: 1` and more leading axes.
 * Pair `(a, b)` becomes `(a cos - b sin, b cos + a sin)`, the complex product `(a + ib) · e^(i angle)`.
 *
 * Numerics: products in float64, rounded once on storing. In float32 each result is within 1.2e-7 of the pair's length.
 * NaN and infinities stay within their pair.
 *
 * @returns The rotated array, of the shape of `x`: `out` where given.
 * @throws {RopeError} `shape-mismatch` when `x` or `out` does not fit; `invalid-argument` when the tables are wider than
 * half a head.
 *
 * @example
 * ```ts
 * import { applyRope, ropeTables } from "@kvfold/rope";
 *
 * const tables = ropeTables({ inverseFrequencies: new Float64Array([Math.PI / 2]), positions: [0, 1, 2] });
 * const keys = new Float32Array([1, 2, 1, 2, 1, 2]); // [tokens 3, heads 1, headDim 2]
 * Array.from(applyRope(keys, { tables, heads: 1, headDim: 2 })) // => [1, 2, -2, 1, -1, -2]
 * ```
 */
export function applyRope<A extends FloatArray>(x: A, options: applyRope.Options<A>): A {
  const { tables, heads, headDim, layout = "half-split", out = x.slice() as A } = options;
  checkCounts("applyRope", { heads });
  checkRotaryDim("applyRope", 2 * tables.width, headDim);
  const tokenWidth = heads * headDim;
  countRows("applyRope", "x", x.length, tables.length * tokenWidth, "[..., tokens, heads, headDim]");
  checkLength("applyRope", "out", out.length, x.length, "as x");
  if (out !== x) out.set(x);
  rotateInPlace(out, { tables, heads, headDim, strides: pairStrides(layout, tables.width) });
  return out;
}

interface Rotation {
  readonly tables: RopeTables<FloatArray>;
  readonly heads: number;
  readonly headDim: number;
  readonly strides: PairStrides;
}

/** `[..., tokens, heads, headDim]`. Nothing is allocated and the token's table row stays in cache across its heads. */
function rotateInPlace(x: FloatArray, { tables, heads, headDim, strides: { step, gap } }: Rotation): void {
  const { cos, sin, width } = tables;
  const tokenWidth = heads * headDim;
  let row = 0;
  for (let token = 0; token < x.length; token += tokenWidth) {
    for (let head = token; head < token + tokenWidth; head += headDim) {
      for (let index = 0; index < width; index++) {
        const cosine = cos[row + index]!;
        const sine = sin[row + index]!;
        const first = head + index * step;
        const second = first + gap;
        const a = x[first]!;
        const b = x[second]!;
        x[first] = a * cosine - b * sine;
        x[second] = b * cosine + a * sine;
      }
    }
    row = (row + width) % cos.length;
  }
}
