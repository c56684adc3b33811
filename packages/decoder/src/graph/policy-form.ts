import type { AttentionWeights } from "../model/decoder-weights.js";
import type { Observation } from "./attention-values.js";
import { type CacheForm, type LayerOutput, perTokenInput } from "./cache-form.js";
import { deltaTensors, newRows, PAST_SLOTS } from "./delta-form.js";
import { emitLast } from "./emit-last.js";
import type { Emitter } from "./emitter.js";
import { memoise } from "./memoise.js";
import { raggedHeads } from "./ragged-heads.js";
import { emitRaggedPositions } from "./ragged-positions.js";

/**
 * The delta form for caches of which layers and heads keep different tokens, one sequence at a time. It differs in this:
 *
 * - `past_positions.N`, int64 `[B, heads, P]`: the position of the token in each slot of each head of layer N, -1 for an empty
 *   slot. Layers may have different numbers of slots; heads are those of `raggedHeads`.
 * - `past_length`, int64 scalar, in graphs with chunks: tokens of the sequence before the new ones, those included that were
 *   dropped. Of layers with chunks whole runs of slots may go, as many as the number in the name of their dimension 2.
 * - `observed_queries`, `observed_attention` and `observed_attention_sums`, int64 scalars: how many of the last new tokens the
 *   outputs `queries.N [B, H, W, size]`, `attention.N [B, H, W, P + S]` and `attention_sums.N`, float32 `[B, H, P + S]`, are of; 0
 *   for none, which costs next to nothing. Scores are products of these queries with cached keys, over `sqrt(size)`; sums are those
 *   of `attention` over the queries, and for 0 no numbers to be read. Layers of joint latents have none of these outputs. Layers that
 *   expand their keys have no `queries`, since they cache no keys that these could meet.
 */
export const policyForm: CacheForm = {
  kind: "ragged",
  begin(root, _, maxPositions) {
    const { graph } = root;
    const scalar = (name: string) => graph.input(name, "int64", []);
    const inputs = {
      inputIds: perTokenInput(graph, "input_ids"),
      positionIds: perTokenInput(graph, "position_ids"),
    };
    const kept = scalar("num_logits_to_keep");
    const observed = memoise<Observation, string>(String, (name) => scalar(`observed_${name}`));
    const pastPositions = (layer: number, weights: AttentionWeights) =>
      graph.input(`past_positions.${layer}`, "int64", ["batch_size", raggedHeads(weights), slotsOf(layer)]);
    return {
      inputIds: inputs.inputIds,
      ...emitRaggedPositions(root.at("positions"), { ...inputs, pastPositions }, maxPositions),
      wanted: (hidden) => emitLast(root.at("wanted"), hidden, kept),
      observe: (layer, weights) => ({
        observe(e, observation, value) {
          if (!observations(weights).includes(observation)) return;
          const at = e.at(`observed/${observation}`);
          const [count, output] = [observed(observation), `${observation}.${layer}`];
          if (observation === "attention_sums") emitLastSum(at, value, count, output);
          else
            emitLastRows(at, value, {
              count,
              output,
              factor: observation === "queries" ? weights.scale * Math.sqrt(weights.keys.size) : 1,
            });
        },
        outputs: observations(weights).map((observation) => ({
          name: `${observation}.${layer}`,
          ...observedShape(weights, observation),
        })),
      }),
    };
  },
  tensors: deltaTensors,
  lengths: (layer, attention) => ({ past: slotsOf(layer), present: newRows(attention) }),
  present: "new_key_values",
};

/** A name for each layer: ONNX Runtime takes dimensions of one name for equal. */
const slotsOf = (layer: number): string => `${PAST_SLOTS}.${layer}`;

function observations({ joint, expanded }: AttentionWeights): readonly Observation[] {
  if (joint !== undefined) return [];
  const ofAttention = ["attention", "attention_sums"] as const;
  return expanded === undefined ? ["queries", ...ofAttention] : ofAttention;
}

function observedShape(
  { heads, keys }: AttentionWeights,
  observation: Observation,
): Pick<LayerOutput, "dims" | "type"> {
  if (observation === "attention_sums") return { dims: ["batch_size", heads, "slots"], type: "float32" };
  const width = observation === "queries" ? keys.size : "slots";
  return { dims: ["batch_size", heads, `observed_${observation}`, width] };
}

interface LastRows {
  readonly count: string;
  readonly output: string;
  readonly factor: number;
}

/** The last `count` rows along axis 2, none for 0, times a factor. */
function emitLastRows(e: Emitter, value: string, { count, output, factor }: LastRows): void {
  const range = emitLastRange(e, value, e.reshape("count/Reshape", count, [1]));
  if (Math.abs(factor - 1) < ROUNDING) {
    e.graph.nodeWithOutputs("Slice", [value, ...range], [output], { name: `${e.path}/Slice` });
    return;
  }
  const rows = e.node("Slice", "Slice", [value, ...range]);
  e.graph.nodeWithOutputs("Mul", [rows, e.scalar(factor)], [output], { name: `${e.path}/Mul` });
}

/** The sum of these rows. For 0 it is the last row: ONNX Runtime's CUDA kernels refuse the sum of none. */
function emitLastSum(e: Emitter, value: string, count: string, output: string): void {
  const counts = e.node("Max", "count/Max", [e.reshape("count/Reshape", count, [1]), e.graph.int64([1])]);
  const rows = e.node("Slice", "Slice", [value, ...emitLastRange(e, value, counts)]);
  e.graph.nodeWithOutputs("ReduceSum", [rows, e.graph.int64([2])], [output], {
    name: `${e.path}/ReduceSum`,
    attributes: { keepdims: 0 },
  });
}

/** Start, end and axis of the last `count [1]` rows along axis 2. */
function emitLastRange(e: Emitter, value: string, count: string): readonly string[] {
  const length = e.node("Shape", "length/Shape", [value], { attributes: { start: 2, end: 3 } });
  return [e.node("Sub", "start/Sub", [length, count]), length, e.graph.int64([2])];
}

/** Relative error of a product of two float64. */
const ROUNDING = 1e-12;
