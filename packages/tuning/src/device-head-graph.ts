import { type Emitter, emitHead, HIDDEN_IN, type MemoryModel, windowGraph } from "@kvfold/decoder/graph";
import { tensorValue } from "@kvfold/onnx";
import {
  emitDivergenceTerms,
  emitTable,
  type headGraph,
  LOSS,
  NEXT_TOKENS,
  ORIGINAL_IN,
  sameWeights,
} from "./head-graph.js";

/** Numbers of one matrix of logits on a GPU: 256 MiB. Rows are taken so many at a time that it is no larger. */
const LOGITS = 2 ** 26;

export declare namespace deviceHeadGraph {
  interface Options extends headGraph.Options {
    /** Windows, and tokens of each. */
    readonly batch: number;
    readonly length: number;
  }
}

/**
 * The loss of whole batches, `hidden_in [B, S, D]`, in operators that ONNX Runtime has on WebGPU, where it has neither
 * LogSoftmax nor ScatterElements and sums over many axes with one thread. `next_tokens` is int32 `[B * S, 1]`. Some rows at a
 * time go through the head.
 */
export function deviceHeadGraph({
  config,
  embedding,
  head,
  loss,
  batch,
  length,
}: deviceHeadGraph.Options): MemoryModel {
  const { hiddenSize: width, vocabSize } = config.shape;
  const count = batch * length;
  return windowGraph(
    config,
    length,
    ({ e, input }) => {
      const rowsOf = (name: string) => e.reshape(`loss/${name}/Reshape`, input(name), [1, count, width]);
      const hidden = rowsOf(HIDDEN_IN);
      const other = loss === "text" ? e.graph.input(NEXT_TOKENS, "int32", [count, 1]) : rowsOf(ORIGINAL_IN);
      const table = head.table === undefined ? emitTable(e, embedding, vocabSize) : "";
      const sums: string[] = [];
      for (const [start, end] of rowRuns(count, vocabSize)) {
        const uses = (label: string) =>
          e.into(start === 0 && label === "" ? e.graph : sameWeights(e.graph, `/rows.${start}${label}`));
        const at = uses("");
        const predict = (to: Emitter, x: string) =>
          emitLogProbabilities(to, emitHead(to, cutRows(to, x, 1, start, end), table, head, config.shape));
        const predicted = predict(at, hidden);
        const terms =
          loss === "text"
            ? emitSurprise(at, predicted, cutRows(at.at("next"), other, 0, start, end), vocabSize)
            : emitDivergenceTerms(at, predicted, predict(uses("/original"), other));
        sums.push(emitSum(at, terms));
      }
      const total = sums.reduce((a, b, index) => e.node("Add", `loss/total.${index}/Add`, [a, b]));
      e.graph.nodeWithOutputs("Identity", [total], [LOSS], { name: "/loss/Identity" });
      e.graph.output(LOSS, "float32", [1]);
    },
    batch,
  );
}

/** Starts and ends of runs of rows. */
function* rowRuns(count: number, vocabSize: number): Generator<readonly [number, number]> {
  const atATime = Math.max(1, Math.floor(LOGITS / vocabSize));
  for (let start = 0; start < count; start += atATime) yield [start, Math.min(count, start + atATime)];
}

const cutRows = (e: Emitter, x: string, axis: number, start: number, end: number): string =>
  e.node("Slice", "loss/rows/Slice", [x, ...[start, end, axis].map((value) => e.graph.int64([value]))]);

/** `x - log Σ exp x`, from a whole number near the largest of a row, so that nothing is too large and it has no gradient. */
function emitLogProbabilities(e: Emitter, logits: string): string {
  const axes = e.graph.int64([-1]);
  const largest = e.node("ReduceMax", "loss/max/ReduceMax", [logits, axes]);
  const shift = e.node("Floor", "loss/max/Floor", [largest]);
  const shifted = e.node("Sub", "loss/shifted/Sub", [logits, shift]);
  const exponentials = e.node("Exp", "loss/shifted/Exp", [shifted]);
  const total = e.node("ReduceSum", "loss/shifted/ReduceSum", [exponentials, axes]);
  return e.node("Sub", "loss/log/Sub", [shifted, e.node("Log", "loss/log/Log", [total])]);
}

/** Minus the entry of each row's next token, zeros elsewhere. */
function emitSurprise(e: Emitter, predicted: string, next: string, vocabSize: number): string {
  const range = Int32Array.from({ length: vocabSize }, (_, index) => index);
  const tokens = e.graph.constant(
    "loss/tokens",
    tensorValue("int32", [vocabSize], new Uint8Array(range.buffer)),
  );
  const isNext = e.node("Equal", "loss/Equal", [next, tokens]);
  const chosen = e.node("Where", "loss/Where", [isNext, predicted, e.scalar(0)]);
  return e.node("Neg", "loss/Neg", [chosen]);
}

/** `[1]`: rows first, then their sums. */
function emitSum(e: Emitter, terms: string): string {
  const rows = e.node("ReduceSum", "loss/rows/ReduceSum", [terms, e.graph.int64([2])], {
    attributes: { keepdims: 1 },
  });
  return e.node("ReduceSum", "loss/ReduceSum", [rows, e.graph.int64([1, 2])], {
    attributes: { keepdims: 0 },
  });
}
