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

/** Slots that a batch may take besides twice its longest sequence: short sequences would start again at every few steps. */
const SPARE_SLOTS = 256;

/**
 * Reads the last token of each sequence of a batch. Where padding has used up the room of the batch, or takes more of its cache than
 * its sequences do, they start again in a new batch, which has no more padding than they need. So a batch that sequences join and
 * leave without end grows with its sequences alone.
 *
 * @param sequences - All tokens of each sequence: those that the batch has read, and one more.
 * @throws {RuntimeError} as `DecodingBatch.decode`. The batch that was given has to be disposed of in any case.
 */
export async function advanceBatch(
  model: Pick<CausalLM, "createBatch">,
  batch: DecodingBatch,
  sequences: readonly (readonly number[])[],
): Promise<AdvancedBatch> {
  const longest = Math.max(...sequences.map(({ length }) => length));
  if (batch.room > 0 && batch.slots <= 2 * longest + SPARE_SLOTS)
    return { batch, logits: await batch.decode(sequences.map((tokens) => tokens.at(-1)!)) };
  batch.dispose();
  const restarted = model.createBatch({ size: sequences.length });
  try {
    return { batch: restarted, logits: await restarted.prefill(sequences) };
  } catch (error) {
    restarted.dispose();
    throw error;
  }
}
