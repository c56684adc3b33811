/** How far two continuations agree. */
export interface Agreement {
  /** Tokens from the start that are the same. */
  readonly prefix: number;
  /** Share of the positions, as far as both go, with the same token. */
  readonly share: number;
  readonly compared: number;
}

/** Compares two continuations position by position. */
export function agreementOf(first: readonly number[], second: readonly number[]): Agreement {
  const compared = Math.min(first.length, second.length);
  const same = Array.from({ length: compared }, (_, index) => first[index] === second[index]);
  const differs = same.indexOf(false);
  return {
    compared,
    prefix: differs < 0 ? compared : differs,
    share: compared === 0 ? 1 : same.filter(Boolean).length / compared,
  };
}
