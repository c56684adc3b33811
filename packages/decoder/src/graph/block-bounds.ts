/**
 * Scores of one head, over all sequences, that a block of queries has at most: 128 MiB of float32 for 32 heads, as many as
 * the runtime's chunks allow where graphs attend to all new tokens at once (`chunkAfter` of `@kvfold/runtime`).
 */
export const MOST_SCORES: number = 2 ** 20;

/** Queries that a block has at least, however many scores these have: products of fewer rows read keys too often. */
export const LEAST_QUERIES = 32;
