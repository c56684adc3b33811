import { throwIfAborted } from "./abort-signal.js";
import { advanceBatch } from "./advance-batch.js";
import type { CausalLM } from "./causal-lm.js";
import { checkCount, DEFAULT_NEW_TOKENS, type generate } from "./generate.js";
import type { FinishReason } from "./generation.js";
import { logitsRow } from "./logits.js";
import { createRandom } from "./random.js";
import { sampleToken } from "./sampling.js";

/** A token of one of several sequences, or why that sequence has ended. */
export type BatchEvent =
  | { readonly sequence: number; readonly token: number }
  | { readonly sequence: number; readonly finishReason: FinishReason };

/** A sequence that goes on. */
interface Active {
  readonly sequence: number;
  /** Its prompt, and what has been drawn after it. */
  readonly tokens: number[];
  readonly random: ReturnType<typeof createRandom>;
}

/**
 * Continues several prompts at once, yielding tokens as they are drawn and the reason as each sequence ends. Sequence `i`
 * has the tokens that `generate` draws alone with seed `seed + i`, but where rounding tips a close choice. Leaving the loop
 * early frees the cache.
 *
 * @throws {RuntimeError} as `generate`; a prompt that is too long fails all.
 *
 * @example
 * ```js
 * for await (const event of generateBatch(model, prompts, { maxNewTokens: 64 })) {
 *   if ("token" in event) texts[event.sequence].push(event.token);
 * }
 * ```
 */
export async function* generateBatch(
  model: CausalLM,
  prompts: readonly ArrayLike<number>[],
  options: generate.Options = {},
): AsyncGenerator<BatchEvent, void, undefined> {
  const { temperature = 0, topK, topP, seed = 0, stopTokens = [], signal } = options;
  const { maxNewTokens = DEFAULT_NEW_TOKENS } = options;
  checkCount(maxNewTokens);
  if (prompts.length === 0) return;
  const stops = new Set(stopTokens);
  let batch = model.createBatch({ size: prompts.length });
  let active: readonly Active[] = prompts.map((prompt, sequence) => ({
    sequence,
    tokens: Array.from(prompt),
    random: createRandom(seed + sequence),
  }));
  const endOf = ({ tokens }: Active, token: number, count: number): FinishReason | undefined => {
    if (stops.has(token)) return "stop-token";
    if (count === maxNewTokens) return "max-new-tokens";
    return tokens.length > model.maxPositions ? "max-positions" : undefined;
  };
  try {
    throwIfAborted(signal);
    let logits = await batch.prefill(prompts);
    for (let count = 1; active.length > 0; count++) {
      throwIfAborted(signal);
      const drawn = active.map(({ random }, row) =>
        sampleToken(logitsRow(logits, row), { temperature, topK, topP }, random),
      );
      const going: number[] = [];
      for (const [row, one] of active.entries()) {
        const token = drawn[row]!;
        one.tokens.push(token);
        const finishReason = endOf(one, token, count);
        if (finishReason !== "stop-token") yield { sequence: one.sequence, token };
        if (finishReason === undefined) going.push(row);
        else yield { sequence: one.sequence, finishReason };
      }
      if (going.length === 0) return;
      active = going.map((row) => active[row]!);
      throwIfAborted(signal);
      if (going.length < batch.size && batch.room > 0) batch.keep(going);
      ({ batch, logits } = await advanceBatch(
        model,
        batch,
        active.map(({ tokens }) => tokens),
      ));
    }
  } finally {
    batch.dispose();
  }
}
