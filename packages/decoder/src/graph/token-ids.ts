import { emitLast } from "./emit-last.js";
import type { Emitter } from "./emitter.js";
import { emitKeyPositions } from "./key-positions.js";
import { memoise, once } from "./memoise.js";

/** The decoder inputs that positions are read from. */
export interface DecoderInputs {
  /** int64 `[B, S]`. */
  readonly inputIds: string;
  /** int64 `[B, T]`, T counting the cached tokens too. */
  readonly attentionMask: string;
  /** int64 `[B, S]`. */
  readonly positionIds: string | undefined;
}

/** The new tokens, or all that attention sees, cached ones included. */
export type Tokens = "new" | "all";

/** Where tokens stand, in the ways that a decoder counts them; int64 each. */
export interface TokenIds {
  /** `[B, S]`: as the client says. */
  positions(): string;
  /** `[B, S]` or `[B, T]`: among the real tokens of their sequence, 0 for padding. */
  realPlaces(tokens: Tokens): string;
  /** `[S]` or `[T]`: slots in the cache, padding counted. */
  slots(tokens: Tokens): string;
  /** `[B, S]` or `[B, T]`: `0, 1, 2, …` for each sequence. */
  indices(tokens: Tokens): string;
  /** Scalar: number of tokens of a sequence. */
  count(tokens: Tokens): string;
  /** Scalar: number of sequences. */
  sequences(): string;
  /** Scalar: slots whose rows a step reads as they are cached. */
  cachedSlots(): string;
  /** `[P]`: slots whose rows a step reads; absent where they are `0, 1, 2, …`. */
  pastSlots?(): string;
  /** Scalar: slot of the newest token. */
  newestSlot(): string;
}

/** Each is written when it is first asked for. */
export function emitTokenIds(e: Emitter, { inputIds, attentionMask, positionIds }: DecoderInputs): TokenIds {
  const source = { new: inputIds, all: attentionMask };
  const part = (tokens: Tokens) => e.at(tokens === "new" ? "query" : "key");
  // Constants that nothing uses would be warned of.
  const int64 = (value: number) => e.graph.int64([value], []);
  const count = memoise<Tokens, string>(String, (tokens) =>
    emitDimension(part(tokens).at("length"), source[tokens], 1),
  );
  const first = once(() => e.node("Sub", "query/Sub", [count("all"), count("new")]));
  const slots = memoise<Tokens, string>(String, (tokens) =>
    part(tokens).node("Range", "Range", [tokens === "new" ? first() : int64(0), count("all"), int64(1)]),
  );
  const allPlaces = once(() => emitKeyPositions(e.at("key"), attentionMask));
  const newPlaces = once(() => emitLast(part("new").at("places"), allPlaces(), count("new")));
  return {
    positions: () => positionIds!,
    count,
    sequences: once(() => emitDimension(e.at("sequences"), inputIds, 0)),
    cachedSlots: () => count("all"),
    newestSlot: once(() => e.node("Sub", "newest/Sub", [count("all"), int64(1)])),
    slots,
    realPlaces: (tokens) => (tokens === "new" ? newPlaces() : allPlaces()),
    indices: memoise<Tokens, string>(String, (tokens) =>
      emitIndices(part(tokens).at("indices"), source[tokens], count(tokens)),
    ),
  };
}

/** `0, 1, 2, …` for each row of `value [B, count]`. */
export function emitIndices(e: Emitter, value: string, count: string): string {
  const range = e.node("Range", "Range", [e.graph.int64([0], []), count, e.graph.int64([1], [])]);
  return e.node("Expand", "Expand", [range, e.node("Shape", "Shape", [value])]);
}

/** int64 scalar: a dimension of `value`. */
export function emitDimension(e: Emitter, value: string, axis: number): string {
  const shape = e.node("Shape", "Shape", [value]);
  return e.node("Gather", "Gather", [shape, e.graph.int64([axis], [])], { attributes: { axis: 0 } });
}
