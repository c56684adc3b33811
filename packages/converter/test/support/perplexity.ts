import type { Checkpoint } from "@kvfold/decoder";
import { createCausalLM, perplexity } from "@kvfold/runtime";
import { readWindows } from "./assets.js";
import { foldInMemory, withSession } from "./fold-in-memory.js";

/** Half a minute of float32 arithmetic on two idle cores, and those are often shared. */
export const SLOW_MS = 300_000;

/** Perplexity of a fold on the first `count` validation windows of 1025. */
export async function foldedPerplexity(
  checkpoint: Checkpoint,
  options: foldInMemory.Options,
  measure: perplexity.Options & { readonly count: number },
): Promise<number> {
  const folded = await foldInMemory(checkpoint, options);
  const windows = await readWindows({ text: "validation", count: measure.count });
  return withSession(folded, async (session) => {
    return (await perplexity(createCausalLM(session), windows, measure)).perplexity;
  });
}
