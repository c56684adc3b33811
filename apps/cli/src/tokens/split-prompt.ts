/** A prompt in two parts: what is read about, and what is asked. */
export interface SplitPrompt {
  readonly context: readonly number[];
  readonly question: readonly number[];
}

/**
 * The context of a prompt is everything up to and including the last token whose text ends a line. A prompt of one line has
 * no question.
 */
export function splitPrompt(prompt: readonly number[], decode: (ids: number[]) => string): SplitPrompt {
  const end = prompt.findLastIndex((id) => decode([id]).endsWith("\n")) + 1;
  return end === 0
    ? { context: prompt, question: [] }
    : { context: prompt.slice(0, end), question: prompt.slice(end) };
}
