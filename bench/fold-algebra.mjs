/**
 * The linear algebra of a fold, one task after the other and alone: what the host does for one layer of the Llama of
 * `gpu.mjs` (hidden 2048, MLP 6144, 32 heads of 64), with random weights and moments. Seconds are of the clock, and of the
 * processor over all threads, which other work on the machine hardly changes.
 * `node bench/fold-algebra.mjs [--threads 1] [--only loadBlock,groupSavings,groupBasis,foldLayer,narrowOutput,refitInputs,
 *   refitMlpInputs,refitLinear,refitDown]`
 */
import { createBlockMath, onnxProducts, planFold } from "@kvfold/converter";
import { loadBlock, openCheckpoint } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { createRandom } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { LLAMA, writeLlama } from "./gpu/llama.mjs";
import { machine, option, textOption } from "./paths.mjs";
import { withTemporaryFolder } from "./support.mjs";

const only = textOption("only")?.split(",");
const products = await onnxProducts(nodeProvider(), { threads: option("threads", 1) });
const math = createBlockMath(products);
const random = createRandom(1);

/** `XᵀX [width, width]` of twice as many random rows, none of whose columns are alike. */
async function randomGram(width) {
  const data = Float64Array.from({ length: 2 * width * width }, () => random() - 0.4);
  const rows = { rows: 2 * width, cols: width, data };
  return (await products.transposeMultiply(rows, rows)).data;
}

const tokens = 131_072;
const momentsOf = (width, gram) => ({ width, count: tokens, sum: new Float64Array(width), gram });

/** Moments whose gram has `block` on its diagonal as often as it fits. */
function repeated(width, size, block) {
  const gram = new Float64Array(width * width);
  for (let start = 0; start < width; start += size)
    for (let row = 0; row < size; row++)
      gram.set(block.subarray(row * size, (row + 1) * size), (start + row) * width + start);
  return momentsOf(width, gram);
}

async function layerMoments() {
  const { heads, headDim } = LLAMA;
  const width = heads * headDim;
  const small = await randomGram(headDim);
  // Keys and values of a group of eight heads: quarters of one random gram, each group's own.
  const group = await randomGram(1024);
  const both = new Float64Array(4 * width * width);
  for (let start = 0; start < width; start += 512)
    for (const [i, row] of [0, width].entries())
      for (const [j, column] of [0, width].entries())
        for (let r = 0; r < 512; r++)
          both.set(
            group.subarray((512 * i + r) * 1024 + 512 * j, (512 * i + r) * 1024 + 512 * (j + 1)),
            (row + start + r) * 2 * width + column + start,
          );
  return {
    queries: repeated(width, headDim, small),
    queriesAtKeys: repeated(width, headDim, small),
    keysAndValues: momentsOf(2 * width, both),
    attentionWeights: momentsOf(heads, await randomGram(heads)),
  };
}

/** Sums of a regression of `outputs` numbers on `inputs`; its gram is far from singular. */
function regressionSums(inputs, outputs) {
  const gram = new Float64Array(inputs * inputs);
  for (let row = 0; row < inputs; row++) {
    for (let col = 0; col < row; col++) gram[row * inputs + col] = gram[col * inputs + row] = random() - 0.5;
    gram[row * inputs + row] = inputs;
  }
  const cross = Float64Array.from({ length: inputs * outputs }, () => random() - 0.5);
  return {
    moments: { inputs: momentsOf(inputs, gram) },
    crosses: { target: { cross, sum: new Float64Array(outputs) } },
  };
}

async function time(name, work) {
  if (only !== undefined && !only.includes(name)) return undefined;
  const [cpu, started] = [process.cpuUsage(), performance.now()];
  const result = await work();
  const clock = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  console.log(`${name}: ${clock.toFixed(2)} s, of the processor ${((user + system) / 1e6).toFixed(2)}`);
  return result;
}

async function timeLayer(folder) {
  await writeLlama(folder, 1);
  const checkpoint = await openCheckpoint(await directorySource(folder));
  const plan = planFold(checkpoint.config, { keep: "1/2" });
  const block = await time("loadBlock", () => loadBlock(checkpoint, 0));
  const { attention, mlp } = block ?? (await loadBlock(checkpoint, 0));
  const { chunk, maxPositions, seed, metric, context } = plan;
  const layer = {
    layer: 0,
    seed,
    metric,
    context,
    attention,
    outputBias: plan.bias === "free",
    moments: await layerMoments(),
    chunks: { chunk, maxPositions },
    method: plan.method,
    plan: plan.layers[0],
  };
  await time("groupSavings", () => math.run("groupSavings", { ...layer, index: 1 }));
  const group = { stores: "joint", index: 0 };
  const basis =
    (await time("groupBasis", () => math.run("groupBasis", { ...layer, group }))) ??
    (await math.run("groupBasis", { ...layer, group }));
  const chosen = { joint: Array(layer.plan.keys.heads).fill(basis) };
  const folded =
    (await time("foldLayer", () => math.run("foldLayer", { ...layer, chosen }))) ??
    (await math.run("foldLayer", { ...layer, chosen }));
  await time("narrowOutput", () => math.run("narrowOutput", { attention: folded.attention, size: 64 }));
  const { query, key, value, output } = attention;
  const { hidden, mlp: wide } = LLAMA;
  await time("refitInputs", () =>
    math.run("refitInputs", {
      linears: [query, key, value],
      sums: regressionSums(hidden, hidden),
      bias: "none",
    }),
  );
  await time("refitMlpInputs", () =>
    math.run("refitInputs", {
      linears: [mlp.up, mlp.gate],
      sums: regressionSums(hidden, hidden),
      bias: "none",
    }),
  );
  await time("refitLinear", () =>
    math.run("refitLinear", { linear: output, sums: regressionSums(hidden, hidden), bias: "none" }),
  );
  await time("refitDown", () =>
    math.run("refitLinear", { linear: mlp.down, sums: regressionSums(wide, hidden), bias: "none" }),
  );
  await checkpoint.close();
}

console.log(machine());
await withTemporaryFolder(timeLayer);
await products.dispose();
