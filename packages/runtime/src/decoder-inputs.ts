import type { CacheLayout } from "./cache-layout.js";
import { cacheSlots } from "./cache-layout.js";
import type { Feeds, Session, Tensor, TensorInfo } from "./port.js";
import { RuntimeError } from "./runtime-error.js";
import { int64 } from "./tensors.js";

/** A step of a decoder: new tokens behind `past` cached ones. */
export interface DecoderStep {
  readonly ids: ArrayLike<number>;
  readonly past: number;
  /** Where the new tokens stand, one position each. */
  readonly positions: readonly number[];
  /** Last rows of the logits that are wanted; 0 for all. A graph without that input gives all. */
  readonly logitsToKeep: number;
}

type InputBuilder = (step: DecoderStep, info: TensorInfo) => Tensor;

const builders: Readonly<Record<string, InputBuilder>> = {
  input_ids: ({ ids }) => int64(ids, [1, ids.length]),
  attention_mask: ({ ids, past }) => ones(past + ids.length),
  position_ids: ({ positions }) => int64(positions, [1, positions.length]),
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
  const ofCache = new Set<string>([...cacheSlots(layout).map(({ past }) => past), ...layout.indexInputs]);
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
