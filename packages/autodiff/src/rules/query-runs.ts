import { intAttribute } from "../attributes.js";
import type { DifferentiatedNode } from "../gradient-rule.js";

/** Queries `[start, end)` of a text and the keys `[firstKey, end)` that they may see. */
export interface QueryRun {
  readonly start: number;
  readonly firstKey: number;
  /** `undefined` for all queries of a text whose length is not known. */
  readonly end: number | undefined;
  /** Tokens of the text. */
  readonly length: number | undefined;
}

/** Queries at a time: their scores stay in a processor's cache, and what none of them sees is not computed. */
const RUN = 256;

/** All queries of a node of causal attention, in runs where the length of the text is known. */
export function queryRuns(n: DifferentiatedNode): readonly QueryRun[] {
  const length = n.inputDims(0)?.[1];
  if (typeof length !== "number") return [{ start: 0, firstKey: 0, end: undefined, length: undefined }];
  const window = windowSize(n) ?? length;
  return Array.from({ length: Math.ceil(length / RUN) }, (_, index) => {
    const start = index * RUN;
    const end = Math.min(length, start + RUN);
    return { start, firstKey: Math.max(0, start - window + 1), end, length };
  });
}

/** Keys that a query sees, its own included. */
function windowSize({ node }: DifferentiatedNode): number | undefined {
  const size = intAttribute(node, "local_window_size", -1);
  return size > 0 ? size : undefined;
}

/** What is added to a score that a query may not see. */
const LOWEST = { float16: -65504, float32: -3.4e38, float64: -1.7e308 };

/** `[queries, keys]`, added to scores: nothing for the keys that a query may see. A run of known length has it as a constant. */
export function emitScoreBias(n: DifferentiatedNode, run: QueryRun): string {
  const { e, type } = n;
  return e.node("Where", [emitVisible(n, run), e.scalar(0, type), e.scalar(LOWEST[type], type)]);
}

/** bool `[queries, keys]`: not ahead of the query, and within its window. */
function emitVisible(n: DifferentiatedNode, { start, firstKey, end }: QueryRun): string {
  const { e } = n;
  const last = end === undefined ? e.node("Gather", [n.inputShape(0), e.ints([1], [])]) : e.ints([end], []);
  const range = (first: number) => e.node("Range", [e.ints([first], []), last, e.ints([1], [])]);
  const query = e.node("Unsqueeze", [range(start), e.ints([1])]);
  const key = range(firstKey);
  const isBefore = e.node("LessOrEqual", [key, query]);
  const window = windowSize(n);
  if (window === undefined) return isBefore;
  const oldest = e.sub(query, e.ints([window], []));
  return e.node("And", [isBefore, e.node("Greater", [key, oldest])]);
}
