/** Arrays of fewer bytes are copied from thread to thread sooner than they are shared. */
const LEAST_BYTES = 2 ** 16;

/**
 * The same plain data with its large arrays of numbers in memory that threads share: sending it to any number of threads
 * then copies them no more. Nobody may write to them.
 */
export function shareArrays<T>(value: T): T {
  if (value instanceof Float32Array || value instanceof Float64Array) return share(value) as T;
  if (Array.isArray(value)) return value.map(shareArrays) as T;
  if (value === null || typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, shareArrays(part)])) as T;
}

function share(values: Float32Array | Float64Array): Float32Array | Float64Array {
  if (values.byteLength < LEAST_BYTES || values.buffer instanceof SharedArrayBuffer) return values;
  const memory = new SharedArrayBuffer(values.byteLength);
  const shared = values instanceof Float32Array ? new Float32Array(memory) : new Float64Array(memory);
  shared.set(values);
  return shared;
}
