import type { RopeTables } from "../model/rope-tables.js";
import type { Emitter } from "./emitter.js";

/** The cos and sin tables `[P, d/2]` as initializers that all layers share. */
export function emitRopeTables(
  e: Emitter,
  tables: RopeTables,
): { readonly cos: string; readonly sin: string } {
  const dims = [tables.length, tables.width];
  return { cos: e.floats("cos_cache", dims, tables.cos), sin: e.floats("sin_cache", dims, tables.sin) };
}
