/**
 * The eigenvalues of `diag(d) + ρ z zᵀ`, `ρ > 0`: the roots of `1/ρ + Σ z_i² / (d_i - λ) = 0`, one right of each `d_i`.
 * J. Bunch, C. Nielsen and D. Sorensen, "Rank-one modification of the symmetric eigenproblem", Numer. Math. 31, 1978,
 * for the interpolation; R.-C. Li, "Solving secular equations stably and efficiently", LAPACK Working Note 89, 1993,
 * for the stopping criterion.
 */

/** A diagonal matrix and what is added to it; `poles` (the `d_i`) ascend strictly and no `z_i` is zero. */
export interface RankOneUpdate {
  readonly poles: Float64Array;
  /** `z` */
  readonly vector: Float64Array;
  /** `ρ > 0` */
  readonly weight: number;
}

/**
 * Roots as distances from a pole each, the nearer one: `λ_j = poles[origins[j]] + offsets[j]`. Differences
 * `λ_j - d_i` taken as `(poles[origins[j]] - d_i) + offsets[j]` keep their leading digits however close the two are.
 */
export interface SecularRoots {
  readonly origins: Int32Array;
  readonly offsets: Float64Array;
}

/** Interpolation converges in some five steps. Halving, which steps in where it fails, ends when no number lies between. */
const maxSteps = 1200;

/** The equation in distances `d_i - d_origin` from one of its poles. */
interface Equation {
  /** `1/ρ` */
  readonly constant: number;
  /** `z_i²` */
  readonly squares: Float64Array;
  readonly distances: Float64Array;
}

/** Where a root lies: in `(low, high)`, counted from `origin`, and between the poles `cut` and `cut + 1` or right of both. */
interface Interval {
  readonly origin: number;
  readonly cut: number;
  readonly low: number;
  readonly high: number;
}

/** The two parts of the sum, up to the cut and after it, their slopes, and a bound of the rounding error. */
interface Evaluation {
  readonly value: number;
  readonly left: number;
  readonly leftSlope: number;
  readonly right: number;
  readonly rightSlope: number;
  readonly noise: number;
}

/** The roots in ascending order, in `O(count²)`. */
export function solveSecular({ poles, vector, weight }: RankOneUpdate): SecularRoots {
  const count = poles.length;
  const origins = new Int32Array(count);
  const offsets = new Float64Array(count);
  const equation = {
    constant: 1 / weight,
    squares: vector.map((value) => value * value),
    distances: new Float64Array(count),
  };
  for (let j = 0; j < count; j++) {
    const interval = j + 1 < count ? betweenPoles(equation, poles, j) : behindPoles(equation, poles);
    measure(equation.distances, poles, interval.origin);
    origins[j] = interval.origin;
    offsets[j] = count === 1 ? interval.high : search(equation, interval);
  }
  return { origins, offsets };
}

/** The half of the interval between two poles in which the root lies, counted from the pole that bounds it. */
function betweenPoles(equation: Equation, poles: Float64Array, j: number): Interval {
  const middle = (poles[j + 1]! - poles[j]!) / 2;
  measure(equation.distances, poles, j);
  return evaluate(equation, j, middle).value >= 0
    ? { origin: j, cut: j, low: 0, high: middle }
    : { origin: j + 1, cut: j, low: -middle, high: 0 };
}

/** The last root, at most `ρ |z|²` after the last pole (just there, if that is the only one). */
function behindPoles({ constant, squares }: Equation, poles: Float64Array): Interval {
  const last = poles.length - 1;
  const high = squares.reduce((sum, square) => sum + square, 0) / constant;
  return { origin: last, cut: last - 1, low: 0, high };
}

/** `distances = poles - poles[origin]` */
function measure(distances: Float64Array, poles: Float64Array, origin: number): void {
  const from = poles[origin]!;
  for (let i = 0; i < poles.length; i++) distances[i] = poles[i]! - from;
}

/** The root of an interval, by interpolation; a step that would leave the bracket halves it instead. */
function search(equation: Equation, { cut, ...interval }: Interval): number {
  let { low, high } = interval;
  let x = (low + high) / 2;
  for (let step = 0; step < maxSteps; step++) {
    const at = evaluate(equation, cut, x);
    if (Math.abs(at.value) <= Number.EPSILON * at.noise) return x;
    if (at.value > 0) high = x;
    else low = x;
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return x;
    const next = interpolate(equation, cut, x, at).find((root) => root > low && root < high);
    x = next ?? middle;
  }
  return x;
}

/** Summed from the far poles to the near ones, whose terms are the largest, so that partial sums are small for long. */
function evaluate({ constant, squares, distances }: Equation, cut: number, x: number): Evaluation {
  let left = 0;
  let leftSlope = 0;
  let partialSums = 0;
  for (let i = 0; i <= cut; i++) {
    const inverse = 1 / (distances[i]! - x);
    const term = squares[i]! * inverse;
    left += term;
    leftSlope += term * inverse;
    partialSums += Math.abs(left);
  }
  let right = 0;
  let rightSlope = 0;
  for (let i = distances.length - 1; i > cut; i--) {
    const inverse = 1 / (distances[i]! - x);
    const term = squares[i]! * inverse;
    right += term;
    rightSlope += term * inverse;
    partialSums += Math.abs(right);
  }
  const sums = constant + Math.abs(left) + Math.abs(right);
  const noise = 8 * sums + partialSums + Math.abs(x) * (leftSlope + rightSlope);
  return { value: constant + left + right, left, leftSlope, right, rightSlope, noise };
}

/**
 * Both roots of `c + s / (before - t) + u / (after - t)`, where the terms up to the cut are replaced by one at the pole
 * `before` it and those after it by one at the pole `after` it, with the values and slopes that they have at `x`.
 */
function interpolate({ constant, distances }: Equation, cut: number, x: number, at: Evaluation): number[] {
  const before = distances[cut]!;
  const after = distances[cut + 1]!;
  const s = at.leftSlope * (before - x) ** 2;
  const u = at.rightSlope * (after - x) ** 2;
  const c = constant + (at.left - at.leftSlope * (before - x)) + (at.right - at.rightSlope * (after - x));
  const linear = c * (before + after) + s + u;
  const free = c * before * after + s * after + u * before;
  const root = Math.sqrt(Math.max(linear * linear - 4 * c * free, 0));
  const q = (linear + (linear >= 0 ? root : -root)) / 2;
  return [free / q, q / c];
}
