import { createGraphBuilder, float32Value, type GraphBuilder, type NodeOptions } from "@kvfold/onnx";
import { createRandom } from "../src/random.js";

/** Attention of one layer: the fused operator with its in-place cache, or plain products with sizes of their own. */
export type TinyLayer =
  | {
      readonly attention: "group-query";
      readonly heads: number;
      readonly kvHeads: number;
      readonly size: number;
    }
  | {
      readonly attention: "plain";
      readonly heads: number;
      readonly keySize: number;
      readonly valueSize: number;
    };

export interface TinyDecoder {
  readonly layers: readonly TinyLayer[];
  readonly cacheType?: "float32" | "float16";
  /** Tokens that there are positions for; 128 unless given. */
  readonly positions?: number;
  /** Adds the input `num_logits_to_keep` with this shape. */
  readonly logitsToKeep?: readonly number[];
  readonly logitsType?: "float32" | "float16";
}

export const VOCABULARY = 61;
const HIDDEN = 32;
const MICROSOFT = "com.microsoft";

export const groupQuery: TinyDecoder = {
  layers: [
    { attention: "group-query", heads: 4, kvHeads: 2, size: 16 },
    { attention: "group-query", heads: 4, kvHeads: 1, size: 16 },
  ],
};

export const plain: TinyDecoder = {
  layers: [
    { attention: "plain", heads: 4, keySize: 8, valueSize: 4 },
    { attention: "plain", heads: 2, keySize: 6, valueSize: 10 },
  ],
};

export const mixed: TinyDecoder = { layers: [groupQuery.layers[0]!, plain.layers[1]!] };

/** A decoder with seeded random weights: embedding, attention layers with residuals, output projection. */
export function buildTinyDecoder({
  layers,
  cacheType = "float32",
  positions = 128,
  logitsToKeep,
  logitsType = "float32",
}: TinyDecoder): Uint8Array {
  const graph = createGraphBuilder({ graphName: "tiny", opsets: { "": 21, [MICROSOFT]: 1 } });
  const inPlace = layers.every(({ attention }) => attention === "group-query");
  const context: Context = {
    graph,
    weight: createWeights(graph),
    cacheType,
    positions,
    inPlace,
    ...declareInputs(graph),
  };
  let hidden = emitEmbedding(context);
  const presents: Present[] = [];
  for (const [index, layer] of layers.entries()) {
    const emit = layer.attention === "group-query" ? emitGroupQuery : emitPlain;
    const output = emit(context, hidden, index, layer as never, presents);
    hidden = node(graph, "Add", [hidden, output], `${index}/residual`);
  }
  if (logitsToKeep !== undefined) hidden = emitLastRows(graph, hidden, logitsToKeep);
  const logits = linear(context, hidden, "head", HIDDEN, VOCABULARY);
  graph.nodeWithOutputs("Cast", [logits], ["logits"], {
    name: "logits",
    attributes: { to: CODES[logitsType] },
  });
  graph.output("logits", logitsType, ["batch_size", "logits_length", VOCABULARY]);
  for (const { name, heads, size } of presents) {
    graph.output(name, cacheType, [
      "batch_size",
      heads,
      inPlace ? "cache_length" : "total_sequence_length",
      size,
    ]);
  }
  return graph.toBytes();
}

interface Present {
  readonly name: string;
  readonly heads: number;
  readonly size: number;
}

interface Context {
  readonly graph: GraphBuilder;
  readonly weight: (name: string, rows: number, columns: number) => string;
  readonly cacheType: "float32" | "float16";
  readonly positions: number;
  readonly inPlace: boolean;
  readonly inputIds: string;
  readonly mask: string;
  readonly positionIds: string;
}

/** TensorProto.DataType of the ONNX specification. */
const CODES = { float32: 1, float16: 10, int32: 6 } as const;

const node = (
  graph: GraphBuilder,
  operator: string,
  inputs: readonly string[],
  name: string,
  options: Omit<NodeOptions, "name"> = {},
): string => graph.node(operator, inputs, { name, ...options });

/** Entries of variance `4 / rows`: attention is then far from uniform, so that mistakes in the cache show. */
function createWeights(graph: GraphBuilder): Context["weight"] {
  const random = createRandom(7);
  return (name, rows, columns) => {
    const scale = Math.sqrt(48 / rows);
    const data = Float32Array.from({ length: rows * columns }, () => (random() - 0.5) * scale);
    return graph.weight(name, float32Value([rows, columns], data));
  };
}

function declareInputs(graph: GraphBuilder): Pick<Context, "inputIds" | "mask" | "positionIds"> {
  return {
    inputIds: graph.input("input_ids", "int64", ["batch_size", "sequence_length"]),
    mask: graph.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]),
    positionIds: graph.input("position_ids", "int64", ["batch_size", "sequence_length"]),
  };
}

function emitEmbedding({ graph, weight, inputIds, positionIds, positions }: Context): string {
  const tokens = node(graph, "Gather", [weight("embedding", VOCABULARY, HIDDEN), inputIds], "tokens");
  const places = node(graph, "Gather", [weight("places", positions, HIDDEN), positionIds], "positions");
  return node(graph, "Add", [tokens, places], "embedded");
}

function linear({ graph, weight }: Context, x: string, name: string, rows: number, columns: number): string {
  return node(graph, "MatMul", [x, weight(`${name}.weight`, rows, columns)], name);
}

function declarePast(
  { graph, cacheType, inPlace }: Context,
  name: string,
  heads: number,
  size: number,
): string {
  const length = inPlace ? "cache_length" : "past_sequence_length";
  return graph.input(`past_key_values.${name}`, cacheType, ["batch_size", heads, length, size]);
}

function emitGroupQuery(
  context: Context,
  x: string,
  index: number,
  { heads, kvHeads, size }: Extract<TinyLayer, { attention: "group-query" }>,
  presents: Present[],
): string {
  const { graph, cacheType } = context;
  const stored = (value: string, name: string): string =>
    node(graph, "Cast", [value], `${index}/${name}/cast`, { attributes: { to: CODES[cacheType] } });
  const query = rotate(
    context,
    linear(context, x, `${index}/q`, HIDDEN, heads * size),
    `${index}/q_rope`,
    size,
  );
  const key = rotate(
    context,
    linear(context, x, `${index}/k`, HIDDEN, kvHeads * size),
    `${index}/k_rope`,
    size,
  );
  const value = linear(context, x, `${index}/v`, HIDDEN, kvHeads * size);
  const names = [`${index}.key`, `${index}.value`].map((name) => ({
    name: `present.${name}`,
    heads: kvHeads,
    size,
  }));
  const pasts = [`${index}.key`, `${index}.value`].map((name) => declarePast(context, name, kvHeads, size));
  const lengths = emitLengths(context, index);
  const outputs = graph.nodeWithOutputs(
    "GroupQueryAttention",
    [stored(query, "q"), stored(key, "k"), stored(value, "v"), ...pasts, ...lengths],
    [`${index}/attention`, ...names.map(({ name }) => name)],
    { name: `${index}/gqa`, domain: MICROSOFT, attributes: { num_heads: heads, kv_num_heads: kvHeads } },
  );
  presents.push(...names);
  const attended = node(graph, "Cast", [outputs[0]!], `${index}/attended`, {
    attributes: { to: CODES.float32 },
  });
  return linear(context, attended, `${index}/o`, heads * size, HIDDEN);
}

/** `seqlens_k [B]` = total - 1, and `total_sequence_length`, both int32. */
function emitLengths({ graph, mask }: Context, index: number): readonly string[] {
  const int32 = { attributes: { to: CODES.int32 } };
  const count = node(graph, "ReduceSum", [mask, graph.int64([1])], `${index}/count`, {
    attributes: { keepdims: 0 },
  });
  const last = node(graph, "Sub", [count, graph.int64([1])], `${index}/last`);
  const shape = node(graph, "Shape", [mask], `${index}/shape`);
  const total = node(graph, "Gather", [shape, graph.int64([1], [])], `${index}/total`);
  return [
    node(graph, "Cast", [last], `${index}/last32`, int32),
    node(graph, "Cast", [total], `${index}/total32`, int32),
  ];
}

function rotate({ graph, positionIds, positions }: Context, x: string, name: string, size: number): string {
  const half = size / 2;
  const table = (trigonometric: (angle: number) => number): Float32Array =>
    Float32Array.from({ length: positions * half }, (_, i) =>
      trigonometric(Math.floor(i / half) * 100 ** (-(i % half) / half)),
    );
  const cos = graph.constant(`cos${size}`, float32Value([positions, half], table(Math.cos)));
  const sin = graph.constant(`sin${size}`, float32Value([positions, half], table(Math.sin)));
  return node(graph, "RotaryEmbedding", [x, positionIds, cos, sin], name, { domain: MICROSOFT });
}

function emitPlain(
  context: Context,
  x: string,
  index: number,
  { heads, keySize, valueSize }: Extract<TinyLayer, { attention: "plain" }>,
  presents: Present[],
): string {
  const { graph } = context;
  const project = (name: string, size: number): string =>
    splitHeads(
      graph,
      linear(context, x, `${index}/${name}`, HIDDEN, heads * size),
      `${index}/${name}`,
      heads,
      size,
    );
  const cached = (value: string, name: string, size: number): string => {
    presents.push({ name: `present.${name}`, heads, size });
    const inputs = [declarePast(context, name, heads, size), value];
    return graph.nodeWithOutputs("Concat", inputs, [`present.${name}`], {
      name,
      attributes: { axis: 2 },
    })[0]!;
  };
  const query = project("q", keySize);
  const key = cached(project("k", keySize), `${index}.key`, keySize);
  const value = cached(project("v", valueSize), `${index}.value`, valueSize);
  const weights = emitWeights(context, index, query, key, keySize);
  const heard = node(graph, "MatMul", [weights, value], `${index}/heard`);
  const side = node(graph, "Transpose", [heard], `${index}/side`, { attributes: { perm: [0, 2, 1, 3] } });
  const joined = node(graph, "Reshape", [side, graph.int64([0, 0, heads * valueSize])], `${index}/joined`);
  return linear(context, joined, `${index}/o`, heads * valueSize, HIDDEN);
}

/** Causal attention weights `[B, heads, S, T]`. */
function emitWeights(
  { graph, mask, positionIds }: Context,
  index: number,
  query: string,
  key: string,
  size: number,
): string {
  const at = (name: string): string => `${index}/weights/${name}`;
  const transposed = node(graph, "Transpose", [key], at("kT"), { attributes: { perm: [0, 1, 3, 2] } });
  const scores = node(graph, "MatMul", [query, transposed], at("scores"));
  const scale = graph.constant(`scale${size}`, float32Value([], Float32Array.of(1 / Math.sqrt(size))));
  const scaled = node(graph, "Mul", [scores, scale], at("scaled"));
  const one = graph.int64([1], []);
  const total = node(graph, "Gather", [node(graph, "Shape", [mask], at("shape")), one], at("total"));
  const keyPositions = node(graph, "Range", [graph.int64([0], []), total, one], at("keys"));
  const queryPositions = node(graph, "Unsqueeze", [positionIds, graph.int64([1, 3])], at("queries"));
  const future = node(graph, "Greater", [keyPositions, queryPositions], at("future"));
  const minus = graph.constant("minus", float32Value([], Float32Array.of(-1e9)));
  return node(graph, "Softmax", [node(graph, "Where", [future, minus, scaled], at("masked"))], at("softmax"));
}

function splitHeads(graph: GraphBuilder, x: string, name: string, heads: number, size: number): string {
  const split = node(graph, "Reshape", [x, graph.int64([0, 0, heads, size])], `${name}/split`);
  return node(graph, "Transpose", [split], `${name}/heads`, { attributes: { perm: [0, 2, 1, 3] } });
}

/** Keeps the last `num_logits_to_keep` rows of `x [B, S, D]`: from `-keep` to the end, hence all of them for 0. */
function emitLastRows(graph: GraphBuilder, x: string, shape: readonly number[]): string {
  const keep = graph.input("num_logits_to_keep", "int64", shape);
  const start = node(graph, "Neg", [node(graph, "Reshape", [keep, graph.int64([1])], "keep")], "start");
  return node(graph, "Slice", [x, start, graph.int64([2 ** 40]), graph.int64([1])], "last");
}
