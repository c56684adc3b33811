import { PolicyError } from "../policy-error.js";

/**
 * Vectors of one layer, by head: cached keys or values `[heads, T, d]`, or the queries of the last tokens `[H, W, d]`.
 * `data` is row-major, and the rows of a head lie in the order of their positions.
 */
export interface HeadRows {
  readonly data: Float32Array;
  readonly heads: number;
  /** Vectors of each head. */
  readonly rows: number;
  /** Numbers of a vector. */
  readonly width: number;
}

/** The rows of one head, `[rows, width]`: a view. */
export function rowsOfHead({ data, rows, width }: HeadRows, head: number): Float32Array {
  return data.subarray(head * rows * width, (head + 1) * rows * width);
}

/** @throws {PolicyError} when `data` has not `heads * rows * width` numbers, or a size is not a count. */
export function requireHeadRows(caller: string, name: string, vectors: HeadRows): void {
  const { data, heads, rows, width } = vectors;
  requireCounts(caller, { [`${name}.heads`]: heads, [`${name}.rows`]: rows, [`${name}.width`]: width });
  if (data.length === heads * rows * width) return;
  throw new PolicyError(
    `${caller}: expected ${name} of ${heads} x ${rows} x ${width} = ${heads * rows * width} numbers, found ${data.length}`,
  );
}

/** @throws {PolicyError} when the widths of keys and queries differ, or the KV heads do not divide the query heads. */
export function requireQueries(caller: string, keys: HeadRows, queries: HeadRows): void {
  requireHeadRows(caller, "keys", keys);
  requireHeadRows(caller, "queries", queries);
  if (queries.width !== keys.width) {
    throw new PolicyError(
      `${caller}: expected queries as wide as keys, ${keys.width}, found ${queries.width}`,
    );
  }
  if (queries.heads % keys.heads === 0) return;
  throw new PolicyError(
    `${caller}: expected query heads in equal groups over ${keys.heads} KV heads, found ${queries.heads}`,
  );
}

/** @throws {PolicyError} unless keys and values have the same heads and rows. */
export function requireValues(caller: string, keys: HeadRows, values: HeadRows): void {
  requireHeadRows(caller, "keys", keys);
  requireHeadRows(caller, "values", values);
  if (values.heads === keys.heads && values.rows === keys.rows) return;
  throw new PolicyError(
    `${caller}: expected values of ${keys.heads} heads and ${keys.rows} tokens as keys have, found ${values.heads} and ${values.rows}`,
  );
}

/** @throws {PolicyError} naming the first of `counts` that is not a positive integer. */
export function requireCounts(caller: string, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) {
    if (Number.isInteger(count) && count > 0) continue;
    throw new PolicyError(`${caller}: expected ${name} to be a positive integer, found ${count}`);
  }
}

/** @throws {PolicyError} naming the first of `shares` that is outside `[0, 1]`. */
export function requireShares(caller: string, shares: Readonly<Record<string, number>>): void {
  for (const [name, share] of Object.entries(shares)) {
    if (share >= 0 && share <= 1) continue;
    throw new PolicyError(`${caller}: expected ${name} between 0 and 1, found ${share}`);
  }
}
