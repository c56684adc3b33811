import type { Results, Tensor } from "./port.js";

/**
 * Outputs of the last run, into which the next may be written where it asks for tensors of their shapes: a step that gives out
 * attention would otherwise take new memory for each layer, which costs as much as computing it.
 */
export interface SpareOutputs {
  /** Keeps the outputs of these names. */
  keep(results: Results, names: readonly string[]): void;
  /** The output of this name, if it has these dimensions. */
  take(name: string, dims: readonly number[]): Tensor | undefined;
  /** Lets go of all, where something else still reads them. */
  clear(): void;
}

export function spareOutputs(): SpareOutputs {
  const spare = new Map<string, Tensor>();
  return {
    keep(results, names) {
      spare.clear();
      for (const name of names) if (results[name] !== undefined) spare.set(name, results[name]);
    },
    take(name, dims) {
      const tensor = spare.get(name);
      return tensor !== undefined && isOf(tensor, dims) ? tensor : undefined;
    },
    clear: () => spare.clear(),
  };
}

const isOf = ({ dims }: Tensor, wanted: readonly number[]): boolean =>
  dims.length === wanted.length && dims.every((size, axis) => size === wanted[axis]);
