import { type Budget, uniformBudget } from "../budget.js";
import type { LayerView } from "../cache-view.js";
import { scoreInOrder } from "../in-order.js";
import { keepBest } from "../keep-best.js";
import type { Policy } from "../policy.js";
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
  return { name, action: "drop", afterPrefill: keep, ...("tokens" in budget ? { afterStep: keep } : {}) };
}
