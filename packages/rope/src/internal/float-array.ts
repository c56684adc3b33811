/** The element types this package computes in. */
export type FloatArray = Float32Array | Float64Array;

/** A zeroed array of `length` with the element type of `like`. */
export function zerosLike<A extends FloatArray>(like: A, length: number): A {
  return (like instanceof Float64Array ? new Float64Array(length) : new Float32Array(length)) as A;
}
