/**
 * What the backward part of a block costs, in forward passes of the same block: the first block of a checkpoint over one
 * window, forward and backward run in turn in one process, on one thread. Times are the least processor time of all
 * repeats: other work on the machine does not count. Once by hidden states alone, once by all weights, too; with all
 * values kept (backward), computed again from the block's input (again), and in one graph with the block (whole).
 * `node bench/backward.mjs [--model assets/models/prose-6m] [--length 1024] [--repeats 15]`
 */
import { differentiate, forwardAndBackward } from "@kvfold/autodiff";
import { loadBlock, openCheckpoint } from "@kvfold/decoder";
import { emitAttentionHalf, emitMlpHalf, windowContext, windowGraph } from "@kvfold/decoder/graph";
import { directorySource } from "@kvfold/decoder/node";
import { readModel } from "@kvfold/onnx";
import { gaussians } from "@kvfold/runtime";
import * as ort from "onnxruntime-node";
import { assetPath, machine, textOption } from "./paths.mjs";

const length = Number(textOption("length", "1024"));
const repeats = Number(textOption("repeats", "15"));

const checkpoint = await openCheckpoint(
  await directorySource(textOption("model", assetPath("models/prose-6m"))),
);
const { config } = checkpoint;
const weights = await loadBlock(checkpoint, 0);

const blockOf = (kind) =>
  windowGraph(config, length, ({ e, input, output }) => {
    const hidden = input("hidden_in");
    const context = windowContext(e, { config, weights, length }, kind);
    const half = emitAttentionHalf(e, hidden, weights, context);
    output("hidden_out", emitMlpHalf(e, { hidden, residual: half.attentionResidual }, weights));
  });

const open = (bytes, { externalData }) =>
  ort.InferenceSession.create(bytes, { externalData, intraOpNumThreads: 1, logSeverityLevel: 3 });

const size = config.shape.hiddenSize;
const random = gaussians(1);
const states = () =>
  new ort.Tensor("float32", Float32Array.from({ length: length * size }, random), [1, length, size]);
const feeds = { hidden_in: states(), "grad.hidden_out": states() };

async function timed(session, values) {
  const inputs = Object.fromEntries(session.inputNames.map((name) => [name, values[name]]));
  const start = process.cpuUsage();
  const outputs = await session.run(inputs);
  const { user, system } = process.cpuUsage(start);
  return { outputs, time: (user + system) / 1000 };
}

console.log(`${machine()}, one thread, a window of ${length}, ${repeats} repeats`);
for (const kind of ["group-query", "plain"]) {
  const block = blockOf(kind);
  const matrices = [...readModel(block.bytes).initializers.values()]
    .filter(({ name, dims }) => name.endsWith(".weight") && dims.length > 0)
    .map(({ name }) => name);
  for (const { what, inputs } of [
    { what: "by hidden states", inputs: ["hidden_in"] },
    { what: "by hidden states and weights", inputs: ["hidden_in", ...matrices] },
  ]) {
    const options = { outputs: ["hidden_out"], inputs };
    const parts = forwardAndBackward(block.bytes, options);
    const again = forwardAndBackward(block.bytes, { ...options, kept: [] });
    const sessions = {
      plain: await open(block.bytes, block),
      forward: await open(parts.forward, block),
      backward: await open(parts.backward, block),
      again: await open(again.backward, block),
      whole: await open(differentiate(block.bytes, options), block),
    };
    const times = Object.fromEntries(Object.keys(sessions).map((name) => [name, []]));
    for (let round = -2; round < repeats; round++) {
      let values = feeds;
      for (const [name, session] of Object.entries(sessions)) {
        const { outputs, time } = await timed(session, values);
        if (name === "forward") values = { ...feeds, ...outputs };
        if (round >= 0) times[name].push(time);
      }
    }
    const base = Math.min(...times.plain);
    const ratios = ["forward", "backward", "again", "whole"].map(
      (name) => `${name} ${(Math.min(...times[name]) / base).toFixed(2)}`,
    );
    console.log(`${kind} attention, ${what}: block ${base.toFixed(1)} ms; in blocks: ${ratios.join(", ")}`);
    for (const session of Object.values(sessions)) await session.release();
  }
}
