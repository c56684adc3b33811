export interface LearningRateOptions {
  /** The highest. */
  readonly learningRate: number;
  readonly steps: number;
  /** Steps that it rises in. */
  readonly warmUp: number;
}

/** The learning rate of step 1, 2, … `steps`: a linear rise, then a linear fall that would end at 0 one step later. */
export function learningRateAt(step: number, { learningRate, steps, warmUp }: LearningRateOptions): number {
  if (step <= warmUp) return (learningRate * step) / warmUp;
  return (learningRate * (steps + 1 - step)) / (steps + 1 - warmUp);
}
