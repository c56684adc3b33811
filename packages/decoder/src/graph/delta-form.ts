import type { AttentionWeights } from "../model/decoder-weights.js";
import { type CacheForm, type CacheTensor, perTokenInput } from "./cache-form.js";
import { emitDeltaPositions } from "./delta-positions.js";
import { emitLast } from "./emit-last.js";
import { LARGEST_GRID } from "./joint/chunk-levels.js";
import { jointShape } from "./joint/joint-shape.js";

/** Anchored latents are read in runs of slots, of which the cache has whole ones. */
export const PAST_SLOTS: string = `past_slots_${LARGEST_GRID}`;

/**
 * The form for a runtime that owns the cache: the past is an input that is read where it lies, and only the rows of new
 * tokens are outputs, so that a step copies no cache. Inputs beside it:
 *
 * - `input_ids`, `position_ids`, int64 `[B, S]`: the new tokens and where they stand, -1 for padding;
 * - `past_positions`, int64 `[B, P]`: the position of the token in each slot of the past, -1 for an empty slot;
 * - `past_length`, int64 scalar, in graphs with chunks: slots in use, the first ones of all sequences alike;
 * - `num_logits_to_keep`, int64 scalar: last tokens that logits are wanted of, 0 for all.
 *
 * `P` is a multiple of the number at the end of dimension 2's name, `past_slots_64`. Empty slots hold any finite numbers.
 * New rows `[B, heads, S, size]` of dimension 2 `sequence_length_in_blocks` are of layers that attend to a block of queries at
 * a time (`query-blocks.ts`), so that `S` may be large after many tokens.
 */
export const deltaForm: CacheForm = {
  kind: "delta",
  begin(root, _, maxPositions) {
    const { graph } = root;
    const inputs = {
      inputIds: perTokenInput(graph, "input_ids"),
      positionIds: perTokenInput(graph, "position_ids"),
      pastPositions: graph.input("past_positions", "int64", ["batch_size", PAST_SLOTS]),
    };
    const kept = graph.input("num_logits_to_keep", "int64", []);
    return {
      inputIds: inputs.inputIds,
      positions: emitDeltaPositions(root.at("positions"), inputs, maxPositions),
      wanted: (hidden) => emitLast(root.at("wanted"), hidden, kept),
    };
  },
  tensors: deltaTensors,
  lengths: (_, attention) => ({ past: PAST_SLOTS, present: newRows(attention) }),
  present: "new_key_values",
};

/** Dimension 2 of the rows that a layer adds: its name says whether the layer's scores are bounded however many these are. */
export const newRows = ({ joint }: Pick<AttentionWeights, "joint">): string =>
  joint === undefined ? "sequence_length" : "sequence_length_in_blocks";

/** Keys and values, or latents that stand for both, as they are read. */
export function deltaTensors(weights: AttentionWeights): readonly CacheTensor[] {
  if (weights.joint !== undefined) return [{ name: "latent", shape: jointShape(weights) }];
  return [
    { name: "key", shape: weights.keys },
    { name: "value", shape: weights.values },
  ];
}
