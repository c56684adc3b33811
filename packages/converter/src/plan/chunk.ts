import type { ModelConfig } from "@kvfold/decoder";
import type { RopeParameters } from "@kvfold/rope";
import { ConverterError } from "../converter-error.js";
import type { Method } from "../methods/method.js";
import type { Keep } from "./keep.js";
import type { LayerShape } from "./layer-shape.js";

/**
 * Slots of a chunk, within which keys of a joint latent are turned: one number for all pairs of a head, 1 for keys that are
 * expanded before each use; or chunks by frequency. These have `least` slots, or 4 or 16 times as many, up to 64, while
 * the pair turns by at most `phase` radians in them. All are powers of two.
 */
export type Chunk = number | { readonly least: number; readonly phase: number };

/**
 * Chunks by frequency lose what a uniform chunk of half their size does, and 16 slots are what a product of matrices is
 * fast at (docs/benchmarks.md, Attention).
 */
const WIDE: Chunk = { least: 16, phase: 0.4 };

/** Half as many slots lose less and make each step dearer, in proportion to the rank: small caches can afford them. */
const NARROW: Chunk = { least: 8, phase: 0.8 };

/** The largest share of the cache that gets narrow chunks. */
const SMALL_CACHE = 1 / 8;

/**
 * The chunks of a plan that keeps a share of the cache; nothing for methods without a joint latent.
 *
 * @throws {ConverterError} `invalid-option` for numbers that are not powers of two, a phase that is not above 0, and methods and
 * models that have no use for chunks.
 */
export function planChunk(
  given: Chunk | undefined,
  method: Method,
  config: Pick<ModelConfig, "blocks">,
  { numerator, denominator }: Keep,
): { readonly chunk?: Chunk } {
  if (given !== undefined) requireChunk(given, method, config);
  if (method.joint === undefined) return {};
  return { chunk: given ?? (numerator / denominator > SMALL_CACHE ? WIDE : NARROW) };
}

function requireChunk(chunk: Chunk, { name, joint }: Method, { blocks }: Pick<ModelConfig, "blocks">): void {
  const refuse = (reason: string) => {
    throw new ConverterError("invalid-option", `chunk ${showChunk(chunk)}: ${reason}`, { option: "chunk" });
  };
  const { least, phase } = typeof chunk === "number" ? { least: chunk, phase: 1 } : chunk;
  if (joint === undefined) refuse(`method ${name} turns no keys within chunks; leave it out`);
  if (!isPowerOfTwo(least)) refuse("expected slots of a power of two, such as 1, 8 or 16");
  if (!(phase > 0 && Number.isFinite(phase))) refuse("expected a phase above 0, in radians");
  if (chunk !== 1 && !blocks.some(({ attention }) => turnsWithinChunks(attention)))
    refuse("no layer of this model has keys that can be turned within chunks; leave it out");
}

/**
 * Whether the rotation of a layer can be split into one within a chunk and one of the chunk: not where frequencies depend on
 * the length of the text or a norm follows the rotation, since keys are then expanded before each use.
 */
export const turnsWithinChunks = ({ rope, headNorm }: Pick<LayerShape, "rope" | "headNorm">): boolean =>
  rope !== undefined && headNorm !== "after-rotation" && !dependsOnLength(rope);

const dependsOnLength = ({ ropeType }: RopeParameters): boolean =>
  ropeType === "longrope" || ropeType === "dynamic";

/** `8,0.8` or `16`. */
const showChunk = (chunk: Chunk): string =>
  typeof chunk === "number" ? String(chunk) : `${chunk.least},${chunk.phase}`;

/** Larger ones than any context are typing errors. */
const MOST_SLOTS = 2 ** 30;

const isPowerOfTwo = (value: number): boolean =>
  Number.isInteger(value) && value >= 1 && value <= MOST_SLOTS && Number.isInteger(Math.log2(value));
