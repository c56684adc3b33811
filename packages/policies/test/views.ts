import type { HeadView, LayerView } from "../src/cache-view.js";
import { attentionRows } from "../src/scores/attention-rows.js";

const wave = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(seed + 1.3 * i * i) + Math.cos(seed * i));

/** A head of `tokens` tokens with the queries and attention of all of them; keys are 4 wide, values 3, and it is read twice. */
export function headView(tokens: number, seed: number): HeadView {
  const keys = wave(tokens * 4, seed);
  const queries = wave(2 * tokens * 4, seed + 0.5);
  const attention = attentionOfAll(keys, queries, tokens);
  return {
    tokens,
    queryHeads: 2,
    keys,
    values: wave(tokens * 3, seed + 0.7),
    positions: Int32Array.from({ length: tokens }, (_, token) => token),
    queries,
    attention,
    attentionSums: { sums: sumsOfAll(attention, tokens), queries: tokens },
  };
}

/** `[2, tokens, tokens]`, zero beyond each query. */
function attentionOfAll(keys: Float32Array, queries: Float32Array, tokens: number): Float32Array {
  const attention = new Float32Array(2 * tokens * tokens);
  attentionRows({
    keys: { data: keys, heads: 1, rows: tokens, width: 4 },
    queries: { data: queries, heads: 2, rows: tokens, width: 4 },
  }).visit((row, head, query) => attention.set(row, (head * tokens + query) * tokens));
  return attention;
}

/** `[2, tokens]` */
const sumsOfAll = (attention: Float32Array, tokens: number): Float32Array =>
  Float32Array.from({ length: 2 * tokens }, (_, at) => {
    const first = Math.floor(at / tokens) * tokens * tokens + (at % tokens);
    return Array.from({ length: tokens }, (_, query) => attention[first + query * tokens]!).reduce(
      (sum, share) => sum + share,
    );
  });

/** Layer 3 of 6, of two heads. */
export const layerView = (tokens: number, rest: Partial<LayerView> = {}): LayerView => ({
  layer: 3,
  layers: 6,
  heads: [headView(tokens, 1), headView(tokens, 2)],
  seen: tokens,
  run: 1,
  ...rest,
});
