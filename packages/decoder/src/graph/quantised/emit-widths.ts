import type { Emitter } from "../emitter.js";

/** A value of the graph's float type in float32: codes are made of and turned back to numbers of this type. */
export const emitFloat32 = (e: Emitter, x: string): string =>
  e.floatType === "float32" ? x : e.cast("Cast_to_float", x, "float32");

/** A float32 value in the graph's float type. */
export const emitGraphFloat = (e: Emitter, x: string): string =>
  e.floatType === "float32" ? x : e.cast("Cast_to_half", x, e.floatType);
