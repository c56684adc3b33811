import type { DecoderStep } from "./decoder-inputs.js";
import type { KvCache } from "./kv-cache.js";
import type { Feeds, Session, Tensor } from "./port.js";

/** What runs the steps of a decoder. */
export interface StepRunner {
  readonly session: Session;
  /** The inputs beside the cache. */
  readonly inputs: (step: DecoderStep) => Feeds;
}

/** Runs new tokens after those of the cache, which takes them in, and returns their logits `[B, rows, vocabulary]`. */
export async function runStep(
  { session, inputs }: StepRunner,
  cache: KvCache,
  step: Omit<DecoderStep, "past">,
): Promise<Tensor> {
  cache.reserve(step.positions.length / (step.sequences ?? 1));
  const feeds = { ...inputs({ ...step, past: cache.length }), ...cache.feeds() };
  const results = await session.run(feeds, { logits: null, ...cache.fetches() });
  cache.commit(results, step.positions);
  return results.logits!;
}
