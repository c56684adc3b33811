/** Arrays of fewer bytes are copied from thread to thread sooner than they are shared. */
const LEAST_BYTES = 2 ** 16;

/** Memory for arrays of numbers that threads share. */
type Allocate = (byteLength: number) => SharedArrayBuffer;

/**
 * The same plain data with its large arrays of numbers in memory that threads share: sending it to any number of threads
 * then copies them no more. Nobody may write to them.
 */
export function shareArrays<T>(
  value: T,
  allocate: Allocate = (byteLength) => new SharedArrayBuffer(byteLength),
): T {
  if (value instanceof Float32Array || value instanceof Float64Array) return share(value, allocate) as T;
  if (Array.isArray(value)) return value.map((part) => shareArrays(part, allocate)) as T;
  if (value === null || typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, shareArrays(part, allocate)]),
  ) as T;
}

function share(values: Float32Array | Float64Array, allocate: Allocate): Float32Array | Float64Array {
  if (values.byteLength < LEAST_BYTES || values.buffer instanceof SharedArrayBuffer) return values;
  const memory = allocate(values.byteLength);
  const shared = values instanceof Float32Array ? new Float32Array(memory) : new Float64Array(memory);
  shared.set(values);
  return shared;
}

/** Shared memory that is used again for data of the same sizes: new memory costs more than copying into it. */
interface SharedMemory {
  /** Does `work` with the same data in shared memory (`shareArrays`), which is overwritten after it. */
  lend<T, R>(value: T, work: (shared: T) => Promise<R>): Promise<R>;
}

export function sharedMemory(): SharedMemory {
  const spare: SharedArrayBuffer[] = [];
  const take = (byteLength: number) => {
    const index = spare.findIndex((memory) => memory.byteLength === byteLength);
    return index < 0 ? new SharedArrayBuffer(byteLength) : spare.splice(index, 1)[0]!;
  };
  return {
    async lend(value, work) {
      const lent: SharedArrayBuffer[] = [];
      const allocate = (byteLength: number) => {
        const memory = take(byteLength);
        lent.push(memory);
        return memory;
      };
      const result = await work(shareArrays(value, allocate));
      spare.push(...lent);
      return result;
    },
  };
}
