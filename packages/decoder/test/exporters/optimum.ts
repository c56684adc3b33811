/**
 * Decoder graphs in the shape that optimum's exporter writes by tracing Hugging Face transformers, and the older conversions of
 * transformers.js: plain operators, norms out of their parts, angles worked out at each step, KV heads repeated. Follows the
 * structure that transformers' modeling files give; nothing is copied from them.
 */

import { ropeFrequencies } from "@kvfold/rope";
import { memoise } from "../../src/graph/memoise.js";
import { type Checkpoint, type Linear, loadBlock, loadEmbedding, loadHead } from "../../src/index.js";
import type {
  AttentionWeights,
  BlockWeights,
  HeadNormWeights,
  NormWeights,
} from "../../src/model/decoder-weights.js";
import { transposeFloats } from "../../src/model/transpose.js";
import { type Exported, type GraphWriter, graphWriter, type Precision } from "./graph-writer.js";

interface Context {
  readonly mask: (window: number | undefined) => string;
  readonly angles: (rope: Rope) => readonly string[];
}

type Rope = NonNullable<AttentionWeights["rope"]>;

export async function exportOptimum(
  checkpoint: Checkpoint,
  { floats = "float32", products = "float" }: Partial<Precision> = {},
): Promise<Exported> {
  const w = graphWriter("main_graph", { floats, products });
  const { hiddenSize, vocabSize, layers } = checkpoint.config.shape;
  const ids = w.graph.input("input_ids", "int64", ["batch_size", "sequence_length"]);
  w.graph.input("attention_mask", "int64", ["batch_size", "past_sequence_length + sequence_length"]);
  const positions = w.graph.input("position_ids", "int64", ["batch_size", "sequence_length"]);
  const { table } = await loadEmbedding(checkpoint);
  const head = await loadHead(checkpoint);
  const rows = w.floatWeight("model.embed_tokens.weight", [vocabSize, hiddenSize], table);
  let stream = w.node("Gather", [rows, ids], { name: "/model/embed_tokens/Gather" });
  const angles = memoise(JSON.stringify, (rope: Rope) => emitAngles(w, rope, positions));
  const context = { mask: emitMasks(w, positions), angles };
  for (let layer = 0; layer < layers; layer++)
    stream = emitLayer(w, await loadBlock(checkpoint, layer), layer, stream, context);
  const weight = transposeFloats(head.table ?? table, vocabSize, hiddenSize);
  const lm: Linear = { inputs: hiddenSize, outputs: vocabSize, weight, bias: undefined };
  const logits = w.linear("/lm_head", emitNorm(w, "/model/norm", stream, head.norm!), lm);
  w.graph.nodeWithOutputs("Cast", [logits], ["logits"], { name: "/Cast_logits", attributes: { to: 1 } });
  w.graph.output("logits", "float32", ["batch_size", "sequence_length", vocabSize]);
  return w.finish();
}

/** Zero for keys that a query sees, and a large negative number for others, `[1, 1, S, T]`; one for each window. */
function emitMasks(w: GraphWriter, positions: string): Context["mask"] {
  const at = (name: string) => ({ name: `/model/${name}` });
  const column = w.node("Reshape", [positions, w.int64(1, 1, -1, 1)], at("Reshape"));
  const last = w.node("ReduceMax", [positions], { ...at("ReduceMax"), attributes: { keepdims: 0 } });
  const total = w.node("Add", [last, w.scalarInt64(1)], at("total/Add"));
  const keys = w.node("Range", [w.scalarInt64(0), total, w.scalarInt64(1)], at("Range"));
  const later = w.node("Greater", [keys, column], at("Greater"));
  const mask = (name: string, hidden: string) =>
    w.node(
      "Where",
      [hidden, w.number("/model/least", -65_504), w.number("/model/zero", 0)],
      at(`${name}/Where`),
    );
  return memoise(String, (window) => {
    if (window === undefined) return mask("causal", later);
    const first = w.node("Sub", [column, w.int64(window)], at(`window_${window}/Sub`));
    const earlier = w.node("LessOrEqual", [keys, first], at(`window_${window}/LessOrEqual`));
    return mask(`window_${window}`, w.node("Or", [later, earlier], at(`window_${window}/Or`)));
  });
}

function emitLayer(
  w: GraphWriter,
  block: BlockWeights,
  layer: number,
  stream: string,
  context: Context,
): string {
  const path = `/model/layers.${layer}`;
  const { attentionNorms, attention, mlpNorms, mlp } = block;
  const half = (
    name: string,
    norms: BlockWeights["mlpNorms"],
    from: string,
    work: (input: string) => string,
  ) => {
    const input =
      norms.input === undefined ? from : emitNorm(w, `${path}/${name}_input_norm`, from, norms.input);
    const added = work(input);
    const output =
      norms.output === undefined ? added : emitNorm(w, `${path}/${name}_output_norm`, added, norms.output);
    return w.node("Add", [from, output], { name: `${path}/${name}/Add` });
  };
  const middle = half("attention", attentionNorms, stream, (input) =>
    emitAttention(w, path, layer, input, attention, context),
  );
  return half("mlp", mlpNorms, middle, (input) => {
    const gate = w.linear(`${path}/mlp/gate_proj`, input, mlp.gate!);
    const sigmoid = w.node("Sigmoid", [gate], { name: `${path}/mlp/act_fn/Sigmoid` });
    const active = w.node("Mul", [gate, sigmoid], { name: `${path}/mlp/act_fn/Mul` });
    const up = w.linear(`${path}/mlp/up_proj`, input, mlp.up);
    return w.linear(
      `${path}/mlp/down_proj`,
      w.node("Mul", [active, up], { name: `${path}/mlp/Mul` }),
      mlp.down,
    );
  });
}

/** In float32, whatever the graph's type, as transformers has it. */
function emitNorm(
  w: GraphWriter,
  path: string,
  input: string,
  { weight, epsilon }: NormWeights | HeadNormWeights,
): string {
  const at = (name: string) => ({ name: `${path}/${name}` });
  const wide = w.node("Cast", [input], { ...at("Cast"), attributes: { to: 1 } });
  const square = w.node("Pow", [wide, w.number(`${path}/two`, 2, "float32")], at("Pow"));
  const mean = w.node("ReduceMean", [square, w.int64(-1)], at("ReduceMean"));
  const sum = w.node("Add", [mean, w.number(`${path}/epsilon`, epsilon, "float32")], at("Add"));
  const root = w.node("Sqrt", [sum], at("Sqrt"));
  const inverse = w.node("Div", [w.number(`${path}/one`, 1, "float32"), root], at("Div"));
  const normed = w.node("Mul", [wide, inverse], at("Mul"));
  const back = w.node("Cast", [normed], {
    ...at("Cast_1"),
    attributes: { to: w.floats === "float32" ? 1 : 10 },
  });
  const scale = w.floatWeight(`${path.slice(1).replaceAll("/", ".")}.weight`, [weight.length], weight);
  return w.node("Mul", [scale, back], at("Mul_1"));
}

function emitAttention(
  w: GraphWriter,
  path: string,
  layer: number,
  input: string,
  attention: AttentionWeights,
  { mask, angles }: Context,
): string {
  const at = (name: string) => ({ name: `${path}/self_attn/${name}` });
  const { heads, kvHeads, headDim, scale, window } = attention;
  const heads4 = (side: "query" | "key" | "value") =>
    emitHeads(w, `${path}/self_attn`, side, input, attention);
  const turn = (side: "query" | "key", rows: string) =>
    emitTurned(w, `${path}/self_attn/${side}_rotary`, rows, attention, angles);
  const cached = (side: "key" | "value", rows: string) => {
    const dims = ["batch_size", kvHeads, "past_sequence_length", headDim];
    const past = w.graph.input(`past_key_values.${layer}.${side}`, w.floats, dims);
    const name = `present.${layer}.${side}`;
    w.graph.nodeWithOutputs("Concat", [past, rows], [name], {
      ...at(`${side}/Concat`),
      attributes: { axis: -2 },
    });
    w.graph.output(name, w.floats, ["batch_size", kvHeads, "total_sequence_length", headDim]);
    return emitRepeated(w, `${path}/self_attn/${side}_repeat`, name, attention);
  };
  const query = turn("query", heads4("query"));
  const key = cached("key", turn("key", heads4("key")));
  const value = cached("value", heads4("value"));
  const root = w.number(`${path}/self_attn/root`, Math.sqrt(scale));
  const turned = w.node("Transpose", [key], { ...at("Transpose_3"), attributes: { perm: [0, 1, 3, 2] } });
  const scores = w.node(
    "MatMul",
    [w.node("Mul", [query, root], at("Mul_q")), w.node("Mul", [turned, root], at("Mul_k"))],
    at("MatMul"),
  );
  const masked = w.node("Add", [scores, mask(window)], at("Add"));
  const weights = w.node("Softmax", [masked], { ...at("Softmax"), attributes: { axis: -1 } });
  const attended = w.node("MatMul", [weights, value], at("MatMul_1"));
  const joined = w.node("Transpose", [attended], {
    ...at("Transpose_4"),
    attributes: { perm: [0, 2, 1, 3] },
  });
  const flat = w.node("Reshape", [joined, w.int64(0, 0, heads * headDim)], at("Reshape_3"));
  return w.linear(`${path}/self_attn/o_proj`, flat, attention.output);
}

/** `[B, heads, S, d]`, normalised where the family does. */
function emitHeads(
  w: GraphWriter,
  path: string,
  side: "query" | "key" | "value",
  input: string,
  attention: AttentionWeights,
): string {
  const norm = side === "query" ? attention.queryNorm : side === "key" ? attention.keyNorm : undefined;
  const projected = w.linear(`${path}/${side[0]}_proj`, input, attention[side]);
  const whole = norm?.over === "whole" ? emitNorm(w, `${path}/${side}_norm`, projected, norm) : projected;
  const shape = w.node("Concat", [w.int64(0, 0), w.int64(-1), w.int64(attention.headDim)], {
    name: `${path}/${side}/shape/Concat`,
    attributes: { axis: 0 },
  });
  const split = w.node("Reshape", [whole, shape], { name: `${path}/${side}/Reshape` });
  const normed = norm?.over === "shared" ? emitNorm(w, `${path}/${side}_norm`, split, norm) : split;
  return w.node("Transpose", [normed], {
    name: `${path}/${side}/Transpose`,
    attributes: { perm: [0, 2, 1, 3] },
  });
}

function emitTurned(
  w: GraphWriter,
  path: string,
  rows: string,
  { rope, headDim }: AttentionWeights,
  angles: Context["angles"],
): string {
  if (rope === undefined) return rows;
  const at = (name: string) => ({ name: `${path}/${name}` });
  const [cos, sin] = angles(rope);
  const slice = (name: string, start: number, end: number) =>
    w.node("Slice", [rows, w.int64(start), w.int64(end), w.int64(3), w.int64(1)], at(name));
  const negated = w.node("Neg", [slice("Slice_1", headDim / 2, Number.MAX_SAFE_INTEGER)], at("Neg"));
  const crossed = w.node("Concat", [negated, slice("Slice", 0, headDim / 2)], {
    ...at("Concat"),
    attributes: { axis: -1 },
  });
  return w.node(
    "Add",
    [w.node("Mul", [rows, cos!], at("Mul")), w.node("Mul", [crossed, sin!], at("Mul_1"))],
    at("Add"),
  );
}

/** Cosines and sines of all positions; one set of names, since no model here has two rotations. */
function emitAngles(w: GraphWriter, rope: Rope, positions: string): readonly string[] {
  const at = (name: string) => ({ name: `/model/rotary_emb/${name}` });
  const { inverseFrequencies, attentionScaling } = ropeFrequencies(rope, 0);
  // Frequencies stay in float32 in graphs of float16, too.
  const bytes = new Uint8Array(Float32Array.from(inverseFrequencies).buffer);
  const frequencies = w.graph.weight("/model/rotary_emb/frequencies", {
    type: "float32",
    dims: [1, inverseFrequencies.length, 1],
    bytes,
  });
  const row = w.node("Unsqueeze", [positions, w.int64(1)], at("Unsqueeze"));
  const column = w.node("Cast", [row], { ...at("Cast"), attributes: { to: 1 } });
  const product = w.node("MatMul", [frequencies, column], at("MatMul"));
  const turned = w.node("Transpose", [product], { ...at("Transpose"), attributes: { perm: [0, 2, 1] } });
  const both = w.node("Concat", [turned, turned], { ...at("Concat"), attributes: { axis: -1 } });
  return ["Cos", "Sin"].map((operator) => {
    const scaled = w.node(
      "Mul",
      [
        w.node(operator, [both], at(operator)),
        w.number("/model/rotary_emb/factor", attentionScaling, "float32"),
      ],
      at(`${operator}/Mul`),
    );
    const cast = w.node("Cast", [scaled], {
      ...at(`${operator}/Cast`),
      attributes: { to: w.floats === "float32" ? 1 : 10 },
    });
    return w.node("Unsqueeze", [cast, w.int64(1)], at(`${operator}/Unsqueeze`));
  });
}

/** `[B, Hkv, T, d]` to `[B, H, T, d]`. */
function emitRepeated(
  w: GraphWriter,
  path: string,
  rows: string,
  { heads, kvHeads, headDim }: AttentionWeights,
): string {
  if (heads === kvHeads) return rows;
  const at = (name: string) => ({ name: `${path}/${name}` });
  const apart = w.node("Unsqueeze", [rows, w.int64(2)], at("Unsqueeze"));
  const repeated = w.node("Expand", [apart, w.int64(1, 1, heads / kvHeads, 1, 1)], at("Expand"));
  return w.node("Reshape", [repeated, w.int64(0, heads, -1, headDim)], at("Reshape"));
}
