/** `count` whole positions in `[0, limit)`, the same at every call (mulberry32 from a fixed seed). */
export function randomPositions(count: number, limit: number): readonly number[] {
  let state = 0x6b76_666f;
  return Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  });
}
