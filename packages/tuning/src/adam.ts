/** What AdamW remembers of a parameter. */
export interface AdamMoments {
  /** Running means of the gradient and of its square. */
  readonly mean: Float32Array;
  readonly square: Float32Array;
}

export interface AdamOptions {
  /** Of this step. */
  readonly learningRate: number;
  readonly weightDecay: number;
  /** 1 for the first step. */
  readonly step: number;
  /** What gradients are multiplied by. */
  readonly gradientScale: number;
}

const [BETA_MEAN, BETA_SQUARE, EPSILON] = [0.9, 0.999, 1e-8];

export const newMoments = (length: number): AdamMoments => ({
  mean: new Float32Array(length),
  square: new Float32Array(length),
});

/**
 * One step of AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019), in place, with its usual betas
 * of 0.9 and 0.999.
 *
 * Numerics: float64 between float32 states.
 */
export function adamStep(
  values: Float32Array,
  gradient: Float32Array,
  { mean, square }: AdamMoments,
  { learningRate, weightDecay, step, gradientScale }: AdamOptions,
): void {
  const meanScale = learningRate / (1 - BETA_MEAN ** step);
  const squareScale = 1 / (1 - BETA_SQUARE ** step);
  const keep = 1 - learningRate * weightDecay;
  for (let i = 0; i < values.length; i++) {
    const slope = gradient[i]! * gradientScale;
    const m = BETA_MEAN * mean[i]! + (1 - BETA_MEAN) * slope;
    const s = BETA_SQUARE * square[i]! + (1 - BETA_SQUARE) * slope * slope;
    mean[i] = m;
    square[i] = s;
    values[i] = keep * values[i]! - (meanScale * m) / (Math.sqrt(squareScale * s) + EPSILON);
  }
}

/** The Euclidean norm of several arrays as one. */
export function globalNorm(arrays: readonly Float32Array[]): number {
  let total = 0;
  // By index: iterators over typed arrays take ten times as long.
  for (const values of arrays) for (let i = 0; i < values.length; i++) total += values[i]! ** 2;
  return Math.sqrt(total);
}
