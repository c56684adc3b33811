import { createRandom } from "./random.js";

/** Standard normal numbers by the Box-Muller transform; `1 - u` keeps the logarithm's argument above zero. */
export function gaussians(seed: number): () => number {
  const uniform = createRandom(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
