import { type Matrix, symmetricEigen } from "@kvfold/linalg";

/** Spectra by side and basis, each `sigma / sum(sigma)`, descending. */
export interface LayerSpectra {
  readonly keys: readonly Float64Array[];
  readonly values: readonly Float64Array[];
}

/**
 * `sigma / sum(sigma)` of activations with this second moment: `sigma`, the roots of its eigenvalues, are proportional to
 * their singular values.
 */
export function spectrumOf(secondMoment: Matrix): Float64Array {
  // Eigenvalues that are zero come out as noise of either sign.
  const sigma = symmetricEigen(secondMoment).values.map((value) => Math.sqrt(Math.max(0, value)));
  const total = sigma.reduce((sum, value) => sum + value, 0);
  return total > 0 ? sigma.map((value) => value / total) : sigma;
}

/** The numbers of a folded head that `threshold` asks for: on each side the most that any basis needs. */
export function thresholdRanks(
  { keys, values }: LayerSpectra,
  threshold: number,
): { readonly keys: number; readonly values: number } {
  const most = (spectra: readonly Float64Array[]) =>
    Math.max(...spectra.map((spectrum) => countBelow(spectrum, threshold)));
  return { keys: most(keys), values: most(values) };
}

/** `#{ i : sigma_1 + ... + sigma_i < threshold }`. */
function countBelow(spectrum: Float64Array, threshold: number): number {
  let count = 0;
  for (let sum = spectrum[0]!; count < spectrum.length && sum < threshold; sum += spectrum[count] ?? 0)
    count++;
  return count;
}
