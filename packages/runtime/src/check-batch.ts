import { RuntimeError } from "./runtime-error.js";

/** @throws {RuntimeError} `invalid-argument` for tokens of more or fewer sequences than the batch has. */
export function checkSequences(found: number, size: number): void {
  if (found === size) return;
  throw refusedByBatch(`expected tokens for ${size} sequences, found them for ${found}`);
}

/** @throws {RuntimeError} `invalid-argument` for a sequence that the batch does not have, or one that is named twice. */
export function checkKept(sequences: readonly number[], size: number): void {
  const isThere = (sequence: number) => Number.isInteger(sequence) && sequence >= 0 && sequence < size;
  if (sequences.every(isThere) && new Set(sequences).size === sequences.length) return;
  throw refusedByBatch(`expected different sequences below ${size}, found ${sequences.join(", ")}`);
}

export const refusedByBatch = (message: string): RuntimeError =>
  new RuntimeError("invalid-argument", `DecodingBatch: ${message}`);
