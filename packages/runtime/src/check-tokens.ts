import { RuntimeError } from "./runtime-error.js";

/** @throws {RuntimeError} `invalid-argument` where there are no tokens, or an id that the vocabulary lacks. */
export function checkTokens(what: string, ids: ArrayLike<number>, vocabularySize: number): void {
  if (ids.length === 0)
    throw new RuntimeError("invalid-argument", `${what}: expected at least one token, found none`);
  for (let i = 0; i < ids.length; i++) {
    if (Number.isInteger(ids[i]) && ids[i]! >= 0 && ids[i]! < vocabularySize) continue;
    const limit = Number.isFinite(vocabularySize) ? `below ${vocabularySize}` : "up";
    throw new RuntimeError(
      "invalid-argument",
      `${what}: expected token ids from 0 ${limit}, found ${ids[i]} at ${i}`,
    );
  }
}

/** @throws {RuntimeError} `too-many-positions`. */
export function checkPositions(what: string, needed: number, limit: number): void {
  if (needed <= limit) return;
  throw new RuntimeError(
    "too-many-positions",
    `${what}: expected at most ${limit} positions (maxPositions), found ${needed}: shorten the prompt`,
  );
}
