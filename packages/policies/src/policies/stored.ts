import type { CachePrecision, Policy } from "../policy.js";

/**
 * Keeps the cache in 8 or 4 bits. The decoder graph codes all rows as it makes them, and other policies see them decoded, so
 * this policy does nothing itself: it says which graph a model must be loaded from.
 */
export const stored = (precision: CachePrecision): Policy => ({
  name: precision,
  action: "quantise",
  stores: precision,
});
