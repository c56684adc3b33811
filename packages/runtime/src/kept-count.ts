import type { HeadChange } from "@kvfold/policies";

/** How many tokens a change leaves of a head of so many. */
export const keptCount = ({ kept, dropped }: HeadChange, tokens: number): number =>
  kept?.length ?? tokens - dropped!.length;
