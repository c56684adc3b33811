import { BLOCK_SIZE, type FourBitRows, type Linear } from "@kvfold/decoder";

/** Consecutive inputs of a projection. */
export interface InputGroup {
  readonly start: number;
  readonly end: number;
}

/**
 * Inputs that are rounded together. The work grows with the cube of their number and the memory with its square: of 18 944
 * inputs, those of a 7 B model's last MLP projection, each of the squares that rounding needs would take 2.9 GB.
 */
const LARGEST_GROUP = 4096;

/** Groups of nearly equal size, at most `largest` inputs each, that split no block of weights with one scale. */
export function groupsOfInputs(inputs: number, largest: number = LARGEST_GROUP): readonly InputGroup[] {
  const count = Math.ceil(inputs / largest);
  const size = Math.ceil(inputs / count / BLOCK_SIZE) * BLOCK_SIZE;
  const starts = Array.from({ length: Math.ceil(inputs / size) }, (_, index) => index * size);
  return starts.map((start) => ({ start, end: Math.min(start + size, inputs) }));
}

/** Second moments of a group: its square on the diagonal of `gram [width, width]`, as numbers of its own. */
export function momentsOfGroup(gram: Float64Array, width: number, { start, end }: InputGroup): Float64Array {
  const size = end - start;
  const part = new Float64Array(size * size);
  for (let row = start; row < end; row++)
    part.set(gram.subarray(row * width + start, row * width + end), (row - start) * size);
  return part;
}

/** The part of a projection that reads a group, without the bias. A group of all inputs has the weights themselves. */
export function linearOfGroup({ inputs, outputs, weight }: Linear, { start, end }: InputGroup): Linear {
  const isWhole = end - start === inputs;
  return {
    inputs: end - start,
    outputs,
    weight: isWhole ? weight : weight.slice(start * outputs, end * outputs),
    bias: undefined,
  };
}

/** The projection whose parts were rounded, in the order of their inputs. A single part is taken as it is. */
export function joinGroups(linear: Linear, parts: readonly Linear[]): Linear {
  const [first] = parts;
  if (parts.length === 1) return { ...linear, weight: first!.weight, fourBit: first!.fourBit };
  const weight = new Float32Array(linear.weight.length);
  let at = 0;
  for (const part of parts) {
    weight.set(part.weight, at);
    at += part.weight.length;
  }
  const fourBit = joinRows(
    parts.map((part) => part.fourBit!),
    linear.outputs,
  );
  return { ...linear, weight, fourBit };
}

/** Rows of codes side by side: each row has the blocks of the first part, then those of the second, and so on. */
function joinRows(parts: readonly FourBitRows[], rows: number): FourBitRows {
  const blocks = parts.reduce((sum, part) => sum + part.blocks, 0);
  const bytes = parts[0]!.codes.length / (rows * parts[0]!.blocks);
  const codes = new Uint8Array(rows * blocks * bytes);
  const scales = new Float32Array(rows * blocks);
  let before = 0;
  for (const part of parts) {
    const width = part.blocks;
    for (let row = 0; row < rows; row++) {
      const at = row * blocks + before;
      codes.set(part.codes.subarray(row * width * bytes, (row + 1) * width * bytes), at * bytes);
      scales.set(part.scales.subarray(row * width, (row + 1) * width), at);
    }
    before += width;
  }
  return { blocks, codes, scales };
}
