/** Why a generation ended. */
export type FinishReason = "stop-token" | "max-new-tokens" | "max-positions";

/** Tokens as they are drawn, for one `for await` loop, and at the end the reason why they stop. */
export interface Generation extends AsyncGenerator<number, FinishReason, undefined> {
  /** Why it ended; `undefined` while it runs, after an error, and when the loop was left early. */
  readonly finishReason: FinishReason | undefined;
}

/**
 * Keeps what a generator returns, which `for await` throws away, as `finishReason`. For tokens that are generated elsewhere,
 * such as in a worker; `generate` returns a `Generation` already.
 *
 * @example
 * ```ts
 * import { toGeneration } from "@kvfold/runtime";
 *
 * const generation = toGeneration(
 *   (async function* () {
 *     yield 7;
 *     return "max-new-tokens";
 *   })(),
 * );
 * for await (const token of generation) token; // 7
 * generation.finishReason; // => "max-new-tokens"
 * ```
 */
export function toGeneration(tokens: AsyncGenerator<number, FinishReason, undefined>): Generation {
  let finishReason: FinishReason | undefined;
  async function* run(): AsyncGenerator<number, FinishReason, undefined> {
    finishReason = yield* tokens;
    return finishReason;
  }
  return Object.defineProperty(run(), "finishReason", { get: () => finishReason }) as Generation;
}
