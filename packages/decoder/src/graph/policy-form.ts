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
 *   of `attention` over the queries, and for 0 `[B, H, 1]`, numbers that are not to be read. Layers of joint latents have none of
 *   these outputs. Layers that expand their keys have no `queries`, since they cache no keys that these could meet.
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
    const parts = memoise<Observation, Part>(String, (name) => {
      const [at, count] = [root.at(`observed/${name}`), scalar(`observed_${name}`)];
      return name === "attention_sums" ? emitSummedRows(at, count) : emitLastRows(at, count);
    });
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
          const [part, output] = [parts(observation), `${observation}.${layer}`];
          if (observation === "attention_sums") emitPartSum(at, value, part, output);
          else {
            const factor = observation === "queries" ? weights.scale * Math.sqrt(weights.keys.size) : 1;
            emitScaledPart(at, value, { part, factor, output });
          }
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
  if (observation === "attention_sums")
    return { dims: ["batch_size", heads, "summed_slots"], type: "float32" };
  const width = observation === "queries" ? keys.size : "slots";
  return { dims: ["batch_size", heads, `observed_${observation}`, width] };
}

/** Which part of a value a run asks for, as a `Slice` takes it: the same for all layers. */
interface Part {
  readonly starts: string;
  readonly ends: string;
  readonly axes: string;
}

/** The last rows along axis 2, as many as `count` says; `Slice` takes an end beyond them for their end, and 0 for none. */
const emitLastRows = (e: Emitter, count: string): Part => ({
  starts: e.node("Mul", "starts/Mul", [count, e.graph.int64([-1])]),
  ends: e.node("Mul", "ends/Mul", [count, e.graph.int64([BEYOND])]),
  axes: e.graph.int64([2]),
});

/**
 * The same rows to be summed. For a count of 0 it is the first number of the last row: a step without sums has nothing to copy, and
 * ONNX Runtime's CUDA kernels refuse the sum of nothing.
 */
function emitSummedRows(e: Emitter, count: string): Part {
  const rows = e.node("Max", "rows/Max", [count, e.graph.int64([1])]);
  const ends = e.node("Mul", "ends/Mul", [count, e.graph.int64([BEYOND, BEYOND])]);
  return {
    starts: e.node("Mul", "starts/Mul", [rows, e.graph.int64([-1, 0])]),
    ends: e.node("Max", "ends/Max", [ends, e.graph.int64([BEYOND, 1])]),
    axes: e.graph.int64([2, 3]),
  };
}

/** More rows and tokens than there are; times any int32 it is an int64. */
const BEYOND = 2 ** 31 - 1;

/** This part of a value, times a factor. */
function emitScaledPart(
  e: Emitter,
  value: string,
  { part, factor, output }: { readonly part: Part; readonly factor: number; readonly output: string },
): void {
  const inputs = [value, part.starts, part.ends, part.axes];
  if (Math.abs(factor - 1) < ROUNDING) {
    e.graph.nodeWithOutputs("Slice", inputs, [output], { name: `${e.path}/Slice` });
    return;
  }
  const rows = e.node("Slice", "Slice", inputs);
  e.graph.nodeWithOutputs("Mul", [rows, e.scalar(factor)], [output], { name: `${e.path}/Mul` });
}

/** The sum of this part's rows. */
function emitPartSum(e: Emitter, value: string, part: Part, output: string): void {
  const rows = e.node("Slice", "Slice", [value, part.starts, part.ends, part.axes]);
  e.graph.nodeWithOutputs("ReduceSum", [rows, e.graph.int64([2])], [output], {
    name: `${e.path}/ReduceSum`,
    attributes: { keepdims: 0 },
  });
}

/** Relative error of a product of two float64. */
const ROUNDING = 1e-12;
