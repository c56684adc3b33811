import type { BlockWeights } from "@kvfold/decoder";

/** A block as a text and the arrays that the text refers to by name. */
export interface PackedBlock {
  /** JSON, with `{ "tensor": name }` in the place of each array of weights. */
  readonly structure: string;
  readonly tensors: ReadonlyMap<string, Float32Array>;
}

interface Reference {
  readonly tensor: string;
}

/** Takes a block apart: its arrays are named by where they stand, e.g. `attention.query.weight`. */
export function packBlock(block: BlockWeights): PackedBlock {
  const tensors = new Map<string, Float32Array>();
  const takeOut = (value: unknown, path: readonly string[]): unknown => {
    if (value instanceof Float32Array) {
      const tensor = path.join(".");
      tensors.set(tensor, value);
      return { tensor } satisfies Reference;
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, part]) => [key, takeOut(part, [...path, key])]),
    );
  };
  return { structure: JSON.stringify(takeOut(block, [])), tensors };
}

/**
 * Puts a block together again: equal to what `packBlock` was given, except that absent parts have no key.
 *
 * @throws {SyntaxError} when the text is not valid JSON.
 * @throws {RangeError} when it refers to an array that is not there.
 */
export function unpackBlock({ structure, tensors }: PackedBlock): BlockWeights {
  return JSON.parse(structure, (_, value: unknown) => {
    if (!isReference(value)) return value;
    const array = tensors.get(value.tensor);
    if (array === undefined) throw new RangeError(`tensor ${value.tensor} is missing`);
    return array;
  }) as BlockWeights;
}

const isReference = (value: unknown): value is Reference =>
  typeof value === "object" && value !== null && "tensor" in value;
