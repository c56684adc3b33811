/** What a slot without a token has for its position. */
export const EMPTY = -1n;

/** A full cache grows by this share of its tokens: empty slots are read at every step, and copies are rare. */
const GROWTH = 1 / 16;

/** Slots for so many tokens, a multiple of `multiple` and at least that. */
export const wholeSlots = (tokens: number, multiple: number): number =>
  Math.max(1, Math.ceil(tokens / multiple)) * multiple;

/** Slots for so many tokens and those to come next. */
export const grownSlots = (tokens: number, multiple: number): number =>
  wholeSlots(tokens + spareSlots(tokens), multiple);

/** Slots that are left free after so many tokens. */
export const spareSlots = (tokens: number): number => Math.floor(tokens * GROWTH);
