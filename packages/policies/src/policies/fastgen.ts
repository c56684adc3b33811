import type { HeadView, LayerView } from "../cache-view.js";
import { attentionOf } from "../head-attention.js";
import { changeInOrder } from "../in-order.js";
import { ALL_TOKENS, type KeptTokens, type Policy } from "../policy.js";
import { profileHeads, type TokenClass } from "../scores/fast-gen.js";

export declare namespace fastgen {
  interface Options {
    /** Share of the tokens that are frequent ones: 0.3 unless given. */
    readonly frequent?: number;
    /** Share of the tokens that are local ones: 0.3 unless given. */
    readonly local?: number;
    /** First tokens that count as special: 4 unless given. */
    readonly sinks?: number;
    /** Last queries that profile the heads: 32 unless given; 0 for all of the prompt, as in the paper. */
    readonly window?: number;
    /** What a token is; first tokens alone are special unless given. Asked only where a view knows its token ids. */
    readonly classOf?: (id: number) => TokenClass;
  }
}

/**
 * Gives each head the cheapest policy that recovers a share of its attention to the prompt (FastGen, arXiv 2310.01801):
 * {@link profileHeads}. Tokens that are decoded later stay; the paper drops them by the head's policy.
 *
 * @param recover - Share of the attention; the paper takes 0.91 to 0.98.
 */
export function fastgen(
  recover: number,
  { window = 32, ...options }: fastgen.Options = {},
  name = "fastgen",
): Policy {
  const profiling = { ...options, recover, window: window || ALL_TOKENS, name };
  return {
    name,
    action: "drop",
    needs: window === 0 ? { queries: ALL_TOKENS } : { attention: window },
    afterPrefill: (layer) =>
      layer.heads.map((head) => changeInOrder(head, (ordered) => thinOut(ordered, layer, profiling))),
  };
}

interface Profiling extends fastgen.Options {
  readonly recover: number;
  readonly window: number;
  readonly name: string;
}

function thinOut(
  head: HeadView,
  layer: LayerView,
  { classOf, name, recover, window, frequent, local, sinks }: Profiling,
): KeptTokens | undefined {
  const { ids } = layer;
  const classes = Array.from(head.positions, (position) =>
    ids === undefined || classOf === undefined ? "other" : classOf(ids[position]!),
  );
  const attention = attentionOf(head, layer, window, name);
  const [profile] = profileHeads({ attention, classes, recover, frequent, local, sinks });
  const { kept } = profile!;
  return kept.length === head.tokens ? undefined : { kept };
}
