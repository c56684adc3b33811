import type { HeadView } from "@kvfold/policies";
import type { Tensor } from "./port.js";
import { floatsOf } from "./tensors.js";

/** What a run gave out of the last queries of a layer. */
export interface ObservedLayer {
  /** `[1, H, W, size]`. */
  readonly queries: Tensor | undefined;
  /** `[1, H, W, capacity + S]`: the slots of the past, empty ones included, and the new tokens. */
  readonly attention: Tensor | undefined;
  /** `G`: query heads that read each head. */
  readonly queryHeads: number;
  /** Slots of the past, and those in use by each head, when the run began. */
  readonly capacity: number;
  readonly lengths: Int32Array;
  /** Of heads that have dropped tokens since: the indices of those that stayed, in their order now. */
  readonly kept: readonly (Int32Array | undefined)[];
}

/** What a head's queries look like, and how they share their attention among its `tokens`. */
export function observeLayer(
  observed: ObservedLayer | undefined,
  head: number,
  tokens: number,
): Pick<HeadView, "queries" | "attention"> {
  if (observed === undefined) return {};
  const { queries, queryHeads } = observed;
  const block = (tensor: Tensor) => {
    const width = tensor.dims[2]! * tensor.dims[3]!;
    return floatsOf(tensor, head * queryHeads * width, (head + 1) * queryHeads * width);
  };
  return {
    queries: queries && block(queries),
    attention: observed.attention && columnsOf(observed, block(observed.attention), head, tokens),
  };
}

/** The columns of a head's tokens, `[G, W, tokens]`. */
function columnsOf(
  { attention, capacity, lengths, kept: keptOf }: ObservedLayer,
  rows: Float32Array,
  head: number,
  tokens: number,
): Float32Array {
  const width = attention!.dims[3]!;
  const before = lengths[head]!;
  const kept = keptOf[head];
  const count = rows.length / width;
  const columns = new Float32Array(count * tokens);
  for (let token = 0; token < tokens; token++) {
    const index = kept?.[token] ?? token;
    const column = index < before ? index : capacity + index - before;
    for (let row = 0; row < count; row++) columns[row * tokens + token] = rows[row * width + column]!;
  }
  return columns;
}
