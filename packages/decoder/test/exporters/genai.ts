/**
 * Decoder graphs in the shape that the model builder of ONNX Runtime GenAI writes, and the newer conversions of
 * transformers.js with it: norms that add first, GroupQueryAttention, one projection for queries, keys and values. Follows
 * the builder's documented structure; nothing is copied from it.
 */

import { float } from "@kvfold/onnx";
import { ropeFrequencies, ropeTables } from "@kvfold/rope";
import { joinColumns } from "../../src/checkpoint/fused-columns.js";
import { memoise } from "../../src/graph/memoise.js";
import { type Checkpoint, type Linear, loadBlock, loadEmbedding, loadHead } from "../../src/index.js";
import type { AttentionWeights, BlockWeights, NormWeights } from "../../src/model/decoder-weights.js";
import { transposeFloats } from "../../src/model/transpose.js";
import { MAX_POSITIONS } from "../support/golden-logits.js";
import { type Exported, type GraphWriter, graphWriter, MICROSOFT, type Precision } from "./graph-writer.js";

export interface GenaiOptions extends Partial<Precision> {
  /** One projection to queries, keys and values, the rotation inside attention. */
  readonly projections?: "packed" | "split";
  /** A tied head and embedding as one tensor. */
  readonly embedding?: "own" | "shared";
}

export async function exportGenai(checkpoint: Checkpoint, options: GenaiOptions = {}): Promise<Exported> {
  const { floats = "float32", products = "float", projections = "packed", embedding = "own" } = options;
  const w = graphWriter("main_graph", { floats, products });
  const { config } = checkpoint;
  const { hiddenSize, vocabSize, layers } = config.shape;
  const ids = w.graph.input("input_ids", "int64", ["batch_size", "sequence_length"]);
  const mask = w.graph.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]);
  const positions = w.graph.input("position_ids", "int64", ["batch_size", "sequence_length"]);
  const blocks: BlockWeights[] = [];
  for (let layer = 0; layer < layers; layer++) blocks.push(await loadBlock(checkpoint, layer));
  const lengths = emitLengths(w, mask);
  // Layers of one rotation share them.
  const tables = memoise(JSON.stringify, (rope: Rope, index) => emitTables(w, rope, index));
  const loaded = await loadEmbedding(checkpoint);
  const head = await loadHead(checkpoint);
  const table = head.table ?? loaded.table;
  const lm: Linear = {
    inputs: hiddenSize,
    outputs: vocabSize,
    weight: transposeFloats(table, vocabSize, hiddenSize),
    bias: undefined,
  };
  const { rows: embedded, project } =
    embedding === "shared" ? emitSharedTable(w, ids, lm) : emitOwnTables(w, ids, loaded.table, lm);
  let stream: Stream = { root: embedded, skip: undefined };
  if (loaded.scale !== undefined)
    stream = {
      root: w.node("Mul", [stream.root, w.number("/model/constants/scale", loaded.scale)], {
        name: "/model/embed_tokens/Mul",
      }),
      skip: undefined,
    };
  for (const [layer, block] of blocks.entries())
    stream = emitLayer(w, block, layer, stream, { ...lengths, positions, projections, tables });
  const last = emitNorm(w, `/model/layers.${layers}/final_norm_layernorm`, stream, head.norm!, "last");
  const logits = project(last.normed);
  const wide = { name: "/lm_head/Cast", attributes: { to: 1 } };
  w.graph.nodeWithOutputs("Cast", [logits], ["logits"], wide);
  w.graph.output("logits", "float32", ["batch_size", "sequence_length", vocabSize]);
  return w.finish();
}

/** Rows of the embedding for the tokens, and what makes logits. */
interface Ends {
  readonly rows: string;
  readonly project: (input: string) => string;
}

function emitOwnTables(w: GraphWriter, ids: string, table: Float32Array, lm: Linear): Ends {
  const weight = w.floatWeight("model.embed_tokens.weight", [lm.outputs, lm.inputs], table);
  return {
    rows: w.node("Gather", [weight, ids], { name: "/model/embed_tokens/Gather" }),
    project: (input) => w.linear("lm_head", input, lm),
  };
}

/** One tensor for both, in floats or in four bits. */
function emitSharedTable(w: GraphWriter, ids: string, lm: Linear): Ends {
  const at = (name: string) => ({ name: `/model/embed_tokens/${name}` });
  const { inputs: width, outputs: count } = lm;
  if (w.products === "float") {
    const weight = w.floatWeight("lm_head.MatMul.weight", [width, count], lm.weight);
    const table = w.node("Transpose", [weight], { ...at("Transpose"), attributes: { perm: [1, 0] } });
    return {
      rows: w.node("Gather", [table, ids], at("Gather")),
      project: (input) => w.node("MatMul", [input, weight], { name: "/lm_head/MatMul" }),
    };
  }
  const packed = w.packed("lm_head.MatMul", lm);
  const table = w.node("Reshape", [packed.codes, w.int64(count, width / 2)], at("Reshape"));
  return {
    rows: w.node("GatherBlockQuantized", [table, ids, packed.scales], {
      ...at("GatherBlockQuantized"),
      domain: MICROSOFT,
      attributes: { bits: 4, block_size: 32, gather_axis: 0, quantize_axis: 1 },
    }),
    project: (input) => w.packedProduct("/lm_head", input, lm, packed),
  };
}

/** The stream before a norm: a sum that the norm makes itself where `skip` is there. */
interface Stream {
  readonly root: string;
  readonly skip: string | undefined;
}

interface Context {
  readonly lastKey: string;
  readonly total: string;
  readonly positions: string;
  readonly projections: "packed" | "split";
  readonly tables: (rope: Rope) => readonly string[];
}

type Rope = NonNullable<AttentionWeights["rope"]>;

function emitLengths(w: GraphWriter, mask: string): Pick<Context, "lastKey" | "total"> {
  const path = "/model/attn_mask_reformat/attn_mask_subgraph";
  const sum = w.node("ReduceSum", [mask, w.int64(1)], {
    name: `${path}/ReduceSum`,
    attributes: { keepdims: 0 },
  });
  const last = w.node("Sub", [sum, w.int64(1)], { name: `${path}/Sub` });
  const shape = w.node("Shape", [mask], { name: `${path}/Shape` });
  const total = w.node("Gather", [shape, w.scalarInt64(1)], { name: `${path}/Gather` });
  const int32 = { to: 6 };
  return {
    lastKey: w.node("Cast", [last], { name: `${path}/Sub/Cast`, attributes: int32 }),
    total: w.node("Cast", [total], { name: `${path}/Gather/Cast`, attributes: int32 }),
  };
}

function emitNorm(
  w: GraphWriter,
  path: string,
  { root, skip }: Stream,
  norm: NormWeights,
  place: "inside" | "last" = "inside",
) {
  const weight = w.floatWeight(
    `${path.slice(1).replaceAll("/", ".")}.weight`,
    [norm.weight.length],
    norm.weight,
  );
  const attributes = { epsilon: float(norm.epsilon) };
  if (skip === undefined) {
    const normed = w.node("SimplifiedLayerNormalization", [root, weight], {
      name: `${path}/LayerNorm`,
      attributes: { ...attributes, axis: -1, stash_type: 1 },
    });
    return { normed, sum: root };
  }
  const outputs = place === "last" ? [`${path}/output_0`] : [`${path}/output_0`, "", "", `${path}/output_3`];
  w.graph.nodeWithOutputs("SkipSimplifiedLayerNormalization", [root, skip, weight], outputs, {
    name: `${path}/SkipLayerNorm`,
    domain: MICROSOFT,
    attributes,
  });
  return { normed: outputs[0]!, sum: outputs[3] ?? "" };
}

function emitLayer(
  w: GraphWriter,
  block: BlockWeights,
  layer: number,
  stream: Stream,
  context: Context,
): Stream {
  const path = `/model/layers.${layer}`;
  const { attentionNorms, attention, mlpNorms, mlp } = block;
  const first = emitNorm(w, `${path}/input_layernorm`, stream, attentionNorms.input!);
  let attended = emitAttention(w, `${path}/attn`, layer, first.normed, attention, context);
  if (attentionNorms.output !== undefined)
    attended = emitNorm(
      w,
      `${path}/post_attention_layernorm`,
      { root: attended, skip: undefined },
      attentionNorms.output,
    ).normed;
  const second = emitNorm(
    w,
    `${path}/pre_feedforward_layernorm`,
    { root: first.sum, skip: attended },
    mlpNorms.input!,
  );
  const gate = w.linear(`${path}/mlp/gate_proj`, second.normed, mlp.gate!);
  const up = w.linear(`${path}/mlp/up_proj`, second.normed, mlp.up);
  const inner = w.node("Mul", [emitActivation(w, path, gate, mlp.activation), up], {
    name: `${path}/mlp/Mul`,
  });
  let down = w.linear(`${path}/mlp/down_proj`, inner, mlp.down);
  if (mlpNorms.output !== undefined)
    down = emitNorm(
      w,
      `${path}/post_feedforward_layernorm`,
      { root: down, skip: undefined },
      mlpNorms.output,
    ).normed;
  return { root: second.sum, skip: down };
}

function emitActivation(w: GraphWriter, path: string, gate: string, activation: string): string {
  const name = `${path}/mlp/act_fn`;
  if (activation !== "silu")
    return w.node("FastGelu", [gate], { name: `${name}/FastGelu`, domain: MICROSOFT });
  const sigmoid = w.node("Sigmoid", [gate], { name: `${name}/Sigmoid` });
  return w.node("Mul", [gate, sigmoid], { name: `${name}/Mul` });
}

function emitAttention(
  w: GraphWriter,
  path: string,
  layer: number,
  input: string,
  attention: AttentionWeights,
  context: Context,
): string {
  const { heads, kvHeads, headDim, scale, window, softCap, rope, output } = attention;
  const cache = (side: "key" | "value") =>
    w.graph.input(`past_key_values.${layer}.${side}`, w.floats, [
      "batch_size",
      kvHeads,
      "past_sequence_length",
      headDim,
    ]);
  const tables = rope && context.tables(rope);
  const turnsInside = context.projections === "packed" && attention.queryNorm === undefined;
  const [query, key, value] = turnsInside
    ? [w.linear(`${path}/qkv_proj`, input, packed(attention)), "", ""]
    : emitProjections(w, path, input, attention, context, tables);
  const inputs = [
    query!,
    key!,
    value!,
    cache("key"),
    cache("value"),
    context.lastKey,
    context.total,
    ...(turnsInside && tables ? tables : []),
  ];
  const presents = (["key", "value"] as const).map((side) => `present.${layer}.${side}`);
  const [attended] = w.graph.nodeWithOutputs(
    "GroupQueryAttention",
    inputs,
    [`${path}/GroupQueryAttention/output_0`, ...presents],
    {
      name: `${path}/GroupQueryAttention`,
      domain: MICROSOFT,
      attributes: {
        num_heads: heads,
        kv_num_heads: kvHeads,
        scale: float(scale),
        local_window_size: window ?? -1,
        softcap: float(softCap ?? 0),
        do_rotary: turnsInside && tables ? 1 : 0,
        rotary_interleaved: 0,
      },
    },
  );
  for (const present of presents)
    w.graph.output(present, w.floats, ["batch_size", kvHeads, "total_sequence_length", headDim]);
  return w.linear(`${path}/o_proj`, attended!, output);
}

const packed = ({ query, key, value }: AttentionWeights): Linear => {
  const starts = [0, query.outputs, query.outputs + key.outputs];
  return joinColumns(
    [query, key, value].map((linear, index) => ({
      linear,
      ranges: [{ start: starts[index]!, end: starts[index]! + linear.outputs }],
    })),
  );
};

function emitProjections(
  w: GraphWriter,
  path: string,
  input: string,
  attention: AttentionWeights,
  { positions, projections }: Context,
  tables: readonly string[] | undefined,
): readonly string[] {
  const { heads, kvHeads, headDim, queryNorm, keyNorm } = attention;
  const [query, key, value] =
    projections === "packed"
      ? emitSplit(w, path, input, attention)
      : (["query", "key", "value"] as const).map((side) =>
          w.linear(`${path}/${side[0]}_proj`, input, attention[side]),
        );
  const prepare = (side: "q" | "k", projected: string, count: number, norm: typeof queryNorm) => {
    let rows = projected;
    if (norm !== undefined) {
      const at = `${path}/${side}_norm`;
      const weight = w.floatWeight(
        `${at.slice(1).replaceAll("/", ".")}.weight`,
        [norm.weight.length],
        norm.weight,
      );
      const flat = w.node("Reshape", [rows, w.int64(0, -1, headDim)], { name: `${at}/Reshape_1` });
      const normed = w.node("SimplifiedLayerNormalization", [flat, weight], {
        name: `${at}/SimplifiedLayerNormalization`,
        attributes: { epsilon: float(norm.epsilon), axis: -1, stash_type: 1 },
      });
      rows = w.node("Reshape", [normed, w.int64(0, -1, count * headDim)], { name: `${at}/Reshape_2` });
    }
    if (tables === undefined) return rows;
    return w.node("RotaryEmbedding", [rows, positions, ...tables], {
      name: `${path}/${side}_rotary/RotaryEmbedding`,
      domain: MICROSOFT,
      attributes: { interleaved: 0, num_heads: count, rotary_embedding_dim: 0 },
    });
  };
  return [prepare("q", query!, heads, queryNorm), prepare("k", key!, kvHeads, keyNorm), value!];
}

function emitSplit(
  w: GraphWriter,
  path: string,
  input: string,
  attention: AttentionWeights,
): readonly string[] {
  const { query, key, value } = attention;
  const product = w.linear(`${path}/qkv_proj`, input, packed(attention));
  const name = `${path}/qkv_proj/Split`;
  return w.graph.nodeWithOutputs(
    "Split",
    [product, w.int64(query.outputs, key.outputs, value.outputs)],
    [0, 1, 2].map((index) => `${name}/output_${index}`),
    { name, attributes: { axis: -1 } },
  );
}

function emitTables(w: GraphWriter, rope: Rope, index: number): readonly string[] {
  const tables = ropeTables({ ...ropeFrequencies(rope, MAX_POSITIONS), length: MAX_POSITIONS });
  const suffix = index === 0 ? "" : `_${index}`;
  return (["cos", "sin"] as const).map((which) =>
    w.floatWeight(
      `${which}_cache${suffix}`,
      [MAX_POSITIONS, rope.rotaryDim / 2],
      Float32Array.from(tables[which]),
    ),
  );
}
