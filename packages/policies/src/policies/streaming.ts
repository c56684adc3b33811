import { type Budget, uniformBudget } from "../budget.js";
import type { HeadView, LayerView } from "../cache-view.js";
import { scoreInOrder } from "../in-order.js";
import { keepBest } from "../keep-best.js";
import type { HeadChange, Policy } from "../policy.js";
import { streamingLlmScores } from "../scores/streaming-llm.js";

export declare namespace streaming {
  interface Options {
    /** First tokens that always stay, 4 unless given. */
    readonly sinks?: number;
  }
}

/**
 * Keeps the first tokens and the newest (StreamingLLM, arXiv 2309.17453), also while tokens are decoded. Tokens keep their
 * positions, as in NVIDIA/kvpress; the paper counts positions within the cache.
 */
export function streaming(budget: Budget, { sinks = 4 }: streaming.Options = {}, name = "streaming"): Policy {
  const keep = (layer: LayerView) =>
    keepBest(
      layer,
      ({ heads }) =>
        heads.map((head) => scoreInOrder(head, ({ tokens }) => streamingLlmScores({ tokens, sinks }))),
      uniformBudget(budget),
    );
  if (!("tokens" in budget)) return { name, action: "drop", afterPrefill: keep };
  return {
    name,
    action: "drop",
    afterPrefill: keep,
    afterStep: (layer) =>
      layer.run === 1 && layer.heads.every(({ tokens }) => tokens <= budget.tokens + 1)
        ? layer.heads.map((head) => (head.tokens <= budget.tokens ? undefined : dropOldest(head, sinks)))
        : keep(layer),
  };
}

/** One token over the budget is found without sorting: a step is short. */
function dropOldest({ positions, tokens }: HeadView, sinks: number): HeadChange {
  let oldest = 0;
  let first = Number.MAX_SAFE_INTEGER;
  for (let token = 0; token < tokens; token++) {
    const position = positions[token]!;
    if (position >= sinks && position < first) [oldest, first] = [token, position];
  }
  return { dropped: Int32Array.of(oldest) };
}
