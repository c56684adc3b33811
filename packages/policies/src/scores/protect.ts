/**
 * Lifts the scores of the tokens `[start, end)` of every head above all others. Among them the later one scores higher, so that
 * a budget smaller than the range keeps the newest of it.
 *
 * @param scores - `[heads, tokens]`, changed in place; those of the range are not read.
 */
export function protect(scores: Float32Array, tokens: number, start: number, end: number): Float32Array {
  let peak = 0;
  for (let at = 0; at < scores.length; at++) {
    const token = at % tokens;
    if ((token < start || token >= end) && scores[at]! > peak) peak = scores[at]!;
  }
  for (let first = 0; first < scores.length; first += tokens) {
    for (let token = start; token < end; token++) scores[first + token] = peak + 1 + (token - start);
  }
  return scores;
}
