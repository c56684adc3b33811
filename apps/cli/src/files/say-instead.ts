/** What messages are not to say, as a text or a pattern, and what they say in its place. */
export type Replacement = readonly [said: string | RegExp, instead: string];

/**
 * Runs `work`; in the message of whatever it throws, what means nothing to the user (a temporary path, say) is replaced by
 * what does. The error stays the same one, for its class and code matter.
 */
export async function sayInstead<T>(
  replacements: readonly Replacement[],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error)
      for (const [said, instead] of replacements)
        error.message = error.message.replaceAll(said, () => instead);
    throw error;
  }
}

/** How sessions name a graph that has no file: the parts of a model that are run one by one. */
export const UNNAMED_GRAPH: RegExp = /a model of \d+ bytes/g;
