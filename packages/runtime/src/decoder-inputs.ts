import type { CacheLayout } from "./cache-layout.js";
import { cacheInputs, cacheSlots } from "./cache-layout.js";
import type { Feeds, Session, Tensor, TensorInfo } from "./port.js";
import { RuntimeError } from "./runtime-error.js";
import { int64 } from "./tensors.js";

/** A step of a decoder: new tokens after `past` cached ones, sequence by sequence. */
export interface DecoderStep {
  /** `B`, 1 unless given. */
  readonly sequences?: number;
  /** `[B, S]`, row-major. */
  readonly ids: ArrayLike<number>;
  readonly past: number;
  /** `[B, S]`: where the new tokens stand, -1 for padding. */
  readonly positions: readonly number[];
  /** Last rows of the logits that are wanted; 0 for all. A graph without that input gives all. */
  readonly logitsToKeep: number;
}

type InputBuilder = (step: DecoderStep, info: TensorInfo) => Tensor;

const builders: Readonly<Record<string, InputBuilder>> = {
  input_ids: ({ ids, sequences = 1 }) => int64(ids, [sequences, ids.length / sequences]),
  attention_mask: ({ ids, past }) => ones(past + ids.length),
  position_ids: ({ positions, sequences = 1 }) => int64(positions, [sequences, positions.length / sequences]),
  num_logits_to_keep: ({ logitsToKeep }, { shape }) => int64([logitsToKeep], shape.length === 0 ? [] : [1]),
};

/**
 * Prepares the inputs that a graph declares beside its cache.
 *
 * @throws {RuntimeError} `unsupported-model` for an input that no decoder step can fill, or one that is not int64.
 */
export function planDecoderInputs(
  { inputs }: Pick<Session, "inputs">,
  layout: CacheLayout,
): (step: DecoderStep) => Feeds {
  const ofCache = new Set<string>([...cacheSlots(layout).map(({ past }) => past), ...cacheInputs(layout)]);
  const steps = inputs
    .filter(({ name }) => !ofCache.has(name))
    .map((info) => ({ info, build: builderOf(info) }));
  if (!steps.some(({ info }) => info.name === "input_ids")) {
    throw new RuntimeError(
      "unsupported-model",
      "createCausalLM: expected an input input_ids [B, S], found none",
    );
  }
  return (step) => Object.fromEntries(steps.map(({ info, build }) => [info.name, build(step, info)]));
}

function builderOf({ name, type }: TensorInfo): InputBuilder {
  const build = Object.hasOwn(builders, name) ? builders[name] : undefined;
  if (build === undefined) {
    const known = Object.keys(builders).join(", ");
    throw new RuntimeError(
      "unsupported-model",
      `createCausalLM: expected inputs ${known} and the cache, found ${name}`,
    );
  }
  if (type !== "int64") {
    throw new RuntimeError("unsupported-model", `createCausalLM: expected ${name} as int64, found ${type}`);
  }
  return build;
}

const ones = (length: number): Tensor => int64(new Uint8Array(length).fill(1), [1, length]);
