import type { CausalLM } from "./causal-lm.js";
import type { DecodingBatch } from "./decoding-batch.js";
import type { Logits } from "./logits.js";

/** A batch after a step, and what the step gave. */
export interface AdvancedBatch {
  /** The batch to go on with, which may be another one than before. */
  readonly batch: DecodingBatch;
  /** `[B, vocabulary]`. */
  readonly logits: Logits;
}

/**
 * Reads the last token of each sequence of a batch. Where padding has used up the room of the batch while its sequences still have
 * positions, they start again in a new batch, which has no more padding than they need.
 *
 * @param sequences - All tokens of each sequence: those that the batch has read, and one more.
 * @throws {RuntimeError} as `DecodingBatch.decode`. The batch that was given has to be disposed of in any case.
 */
export async function advanceBatch(
  model: Pick<CausalLM, "createBatch">,
  batch: DecodingBatch,
  sequences: readonly (readonly number[])[],
): Promise<AdvancedBatch> {
  if (batch.room > 0) return { batch, logits: await batch.decode(sequences.map((tokens) => tokens.at(-1)!)) };
  batch.dispose();
  const restarted = model.createBatch({ size: sequences.length });
  try {
    return { batch: restarted, logits: await restarted.prefill(sequences) };
  } catch (error) {
    restarted.dispose();
    throw error;
  }
}
