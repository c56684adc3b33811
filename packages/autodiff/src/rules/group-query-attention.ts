import { floatAttribute, intAttribute } from "../attributes.js";
import type { DifferentiatedNode, GradientRule } from "../gradient-rule.js";
import { emitScoreBias, type QueryRun, queryRuns } from "./query-runs.js";

/** Heads `[B, groups, readers, S, d]`: query heads that read the same key head are its readers. */
interface Heads {
  /** Queries, times the scale of the scores. */
  readonly query: string;
  /** Keys and values, `readers = 1`. */
  readonly key: string;
  readonly value: string;
  /** Gradient of the attended values. */
  readonly gradient: string;
  /** `Σ dy y` of each query, `[B, groups, readers, S, 1]`. */
  readonly along: string;
}

interface Gradients {
  readonly query: string;
  readonly key: string;
  readonly value: string;
}

/**
 * ONNX Runtime's attention without a cache, by its definition: `softmax(scale q kᵀ) v` over the keys up to each query, or
 * the last `local_window_size` of these. The weights are computed again, for a run of queries at a time.
 *
 * All texts of a batch have the length of the longest: those with padding at their end have no gradient to take from it.
 */
export const groupQueryAttention: GradientRule = (n) => {
  requirePlain(n);
  const gradients = gradientsOnce(n);
  return [
    () => joinHeads(n, gradients().query),
    () => joinHeads(n, gradients().key),
    () => joinHeads(n, gradients().value),
  ];
};

function requirePlain(n: DifferentiatedNode): void {
  const { node } = n;
  if (!n.hasInput(1) || !n.hasInput(2))
    n.refuse("queries, keys and values in one input have no gradient here");
  if (n.hasInput(3) || n.hasInput(4)) n.refuse("attention to a cache has no gradient here");
  if (node.inputs.slice(7).some((name) => name !== ""))
    n.refuse("its inputs after the seventh have no gradient here");
  if (n.hasUpstream(1) || n.hasUpstream(2)) n.refuse("its cache has no gradient here");
  for (const name of ["do_rotary", "smooth_softmax"])
    if (intAttribute(node, name, 0) === 1) n.refuse(`attribute ${name} has no gradient here`);
}

function gradientsOnce(n: DifferentiatedNode): () => Gradients {
  let found: Gradients | undefined;
  return () => {
    found ??= emitGradients(n);
    return found;
  };
}

function emitGradients(n: DifferentiatedNode): Gradients {
  const { e } = n;
  const groups = intAttribute(n.node, "kv_num_heads", 1);
  const readers = intAttribute(n.node, "num_heads", groups) / groups;
  const gradient = splitHeads(n, n.upstream(), groups, readers);
  const output = splitHeads(n, n.output(), groups, readers);
  const heads: Heads = {
    query: e.scale(splitHeads(n, n.input(0), groups, readers), scoreScale(n), n.type),
    key: splitHeads(n, n.input(1), groups, 1),
    value: splitHeads(n, n.input(2), groups, 1),
    gradient,
    along: e.sum(e.mul(gradient, output), [-1]),
  };
  const runs = queryRuns(n);
  const parts = runs.map((run) => emitRun(n, heads, run));
  const sum = (name: "key" | "value") =>
    parts.map((part, index) => spreadKeys(n, part[name], runs[index]!)).reduce((a, b) => e.add(a, b));
  const query =
    parts.length === 1
      ? parts[0]!.query
      : e.node(
          "Concat",
          parts.map((part) => part.query),
          { axis: 3 },
        );
  return {
    query: e.scale(query, scoreScale(n), n.type),
    key: readers === 1 ? sum("key") : e.sum(sum("key"), [2]),
    value: readers === 1 ? sum("value") : e.sum(sum("value"), [2]),
  };
}

/** Gradients of a run of queries, and of the keys and values that it sees, for each reader. */
function emitRun(n: DifferentiatedNode, heads: Heads, run: QueryRun): Gradients {
  const { e } = n;
  const rows = (x: string) => cutRows(n, x, run.start, run.end);
  const keys = (x: string) => cutRows(n, x, run.firstKey, run.end);
  const turned = (x: string) => e.node("Transpose", [x], { perm: [0, 1, 2, 4, 3] });
  const [query, gradient, key, value] = [
    rows(heads.query),
    rows(heads.gradient),
    keys(heads.key),
    keys(heads.value),
  ];
  const { scores, slope } = emitScores(n, e.node("MatMul", [query, turned(key)]));
  const weights = e.node("Softmax", [e.add(scores, emitScoreBias(n, run))], { axis: -1 });
  const change = e.sub(e.node("MatMul", [gradient, turned(value)]), rows(heads.along));
  const weighted = e.mul(weights, change);
  const scoreGradient = slope === undefined ? weighted : e.mul(weighted, slope);
  return {
    query: e.node("MatMul", [scoreGradient, key]),
    key: e.node("MatMul", [turned(scoreGradient), query]),
    value: e.node("MatMul", [turned(weights), gradient]),
  };
}

/** Scores below a cap, `cap tanh(s / cap)`, and their slope `1 - tanh²`. */
function emitScores(
  { e, node, type }: DifferentiatedNode,
  raw: string,
): { readonly scores: string; readonly slope: string | undefined } {
  const cap = floatAttribute(node, "softcap", 0);
  if (cap === 0) return { scores: raw, slope: undefined };
  const bounded = e.node("Tanh", [e.scale(raw, 1 / cap, type)]);
  const slope = e.sub(e.scalar(1, type), e.mul(bounded, bounded));
  return { scores: e.scale(bounded, cap, type), slope };
}

function scoreScale(n: DifferentiatedNode): number {
  const scale = floatAttribute(n.node, "scale", 0);
  if (scale !== 0) return scale;
  const width = n.inputDims(0)?.at(-1);
  if (typeof width !== "number") return n.refuse("it needs a scale, or queries of a known width");
  return 1 / Math.sqrt(width / intAttribute(n.node, "num_heads", 1));
}

/** `[B, S, groups * readers * d]` to `[B, groups, readers, S, d]`. */
const splitHeads = ({ e }: DifferentiatedNode, x: string, groups: number, readers: number): string =>
  e.node("Transpose", [e.node("Reshape", [x, e.ints([0, 0, groups, readers, -1])])], {
    perm: [0, 2, 3, 1, 4],
  });

/** `[B, groups, readers, S, d]` to `[B, S, groups * readers * d]`. */
const joinHeads = ({ e }: DifferentiatedNode, x: string): string =>
  e.node("Reshape", [e.node("Transpose", [x], { perm: [0, 3, 1, 2, 4] }), e.ints([0, 0, -1])]);

const cutRows = ({ e }: DifferentiatedNode, x: string, start: number, end: number | undefined): string =>
  end === undefined ? x : e.node("Slice", [x, e.ints([start]), e.ints([end]), e.ints([3])]);

/** Zeros for the keys that a run of queries does not see. */
function spreadKeys({ e }: DifferentiatedNode, x: string, { firstKey, end, length }: QueryRun): string {
  if (end === undefined || length === undefined || (firstKey === 0 && end === length)) return x;
  return e.node("Pad", [x, e.ints([0, 0, 0, firstKey, 0, 0, 0, 0, length - end, 0])]);
}
