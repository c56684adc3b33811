import type { Emitter } from "./emitter.js";

/** Most models need one of everything, which then has a plain name. */
export const numbered = (e: Emitter, index: number): Emitter => (index === 0 ? e : e.at(String(index)));
