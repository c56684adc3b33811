import type { FloatAttribute, FloatsAttribute } from "./graph-view.js";

/** Marks a number as a float attribute. */
export const float = (value: number): FloatAttribute => ({ float: value });

/** Marks a list of numbers as a list of floats. */
export const floats = (values: readonly number[]): FloatsAttribute => ({ floats: values });
