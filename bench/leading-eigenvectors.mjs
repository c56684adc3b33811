/**
 * Leading eigenvectors of a whole layer's moment, against ml-matrix's full decomposition, and the solve that healing needs,
 * with products in JavaScript and in ONNX Runtime. Ratios are of CPU seconds, which tell more than the clock does on a busy
 * machine. With more than one thread they count what the others spend waiting for work, and the clock says more.
 * `node bench/leading-eigenvectors.mjs [--size 2048] [--threads 1] [--rounds 2] [--ml-matrix no]`
 */
import { onnxProducts } from "@kvfold/converter";
import {
  createMatrix,
  identity,
  leadingEigen,
  plainProducts,
  ridgeSolve,
  slice,
  subtract,
} from "@kvfold/linalg";
import { EigenvalueDecomposition, WrapperMatrix1D } from "ml-matrix";
import { machine, textOption } from "./paths.mjs";
import { option, provider } from "./support.mjs";

const size = option("size", 2048);
const rounds = option("rounds", 2);
const threads = option("threads", 1);
const onnx = await onnxProducts(provider, { threads });
const engines = { JavaScript: plainProducts, "ONNX Runtime": onnx };

const print = (text) => process.stdout.write(`${text}\n`);

/** The least time of some runs, by the clock and of the processor, in seconds, and the last result. */
async function best(work, count = rounds) {
  const least = { clock: Number.POSITIVE_INFINITY, cpu: Number.POSITIVE_INFINITY, result: undefined };
  for (let round = 0; round < count; round++) {
    const start = { clock: performance.now(), cpu: process.cpuUsage() };
    least.result = await work();
    const { user, system } = process.cpuUsage(start.cpu);
    least.clock = Math.min(least.clock, (performance.now() - start.clock) / 1e3);
    least.cpu = Math.min(least.cpu, (user + system) / 1e6);
  }
  return least;
}

const format = ({ clock, cpu }) => `${clock.toFixed(2)} s, CPU ${cpu.toFixed(2)} s`;

/** Uniform in `[-1, 1)`. */
function randomMatrix(rows, cols, seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return createMatrix(rows, cols, Float64Array.from({ length: rows * cols }, next));
}

/** Second moments: of independent features (a flat spectrum), and of features whose variance falls as a power. */
async function makeMoments() {
  const rows = randomMatrix(2 * size, size, 1);
  const mixing = randomMatrix(size, size, 2);
  const scaled = {
    ...mixing,
    data: mixing.data.map((value, i) => value * (Math.floor(i / size) + 1) ** -0.75),
  };
  const correlated = await onnx.multiply(rows, scaled);
  return {
    flat: await onnx.transposeMultiply(rows, rows),
    "power law": await onnx.transposeMultiply(correlated, correlated),
  };
}

const frobeniusNorm = ({ data }) => Math.sqrt(data.reduce((sum, value) => sum + value * value, 0));

/** The sine of the largest angle between two subspaces with orthonormal bases `[n, r]`, or a little more (Frobenius). */
async function sineBetween(a, b) {
  return frobeniusNorm(subtract(b, await onnx.multiply(a, await onnx.transposeMultiply(a, b))));
}

/** ml-matrix's eigenvalues ascend. */
function decomposeFully(a) {
  const wrapped = new WrapperMatrix1D(Array.from(a.data), { rows: size });
  const { eigenvectorMatrix } = new EigenvalueDecomposition(wrapped, { assumeSymmetric: true });
  const data = Float64Array.from({ length: size * size }, (_, i) =>
    eigenvectorMatrix.get(Math.floor(i / size), size - 1 - (i % size)),
  );
  return createMatrix(size, size, data);
}

async function timeProducts() {
  for (const n of [size / 2, size]) {
    const [a, b] = [randomMatrix(n, n, 3), randomMatrix(n, n, 4)];
    for (const [engine, products] of Object.entries(engines)) {
      const time = await best(() => products.multiply(a, b));
      print(
        `product ${n}, ${engine}: ${format(time)}, ${((2 * n ** 3) / time.clock / 1e9).toFixed(1)} GFLOP/s`,
      );
    }
  }
}

async function timeSolve(gram) {
  const cross = randomMatrix(size, size / 4, 5);
  const lambda = 1e-3 * gram.data[0];
  for (const [engine, products] of Object.entries(engines)) {
    const time = await best(() => ridgeSolve({ gram, cross, lambda, products }));
    print(`ridgeSolve ${size} x ${size / 4}, ${engine}: ${format(time)}`);
  }
}

async function timeEigenvectors(name, moment, ranks, reference) {
  for (const rank of ranks) {
    for (const [engine, products] of Object.entries(engines)) {
      const time = await best(() => leadingEigen(moment, rank, { products }));
      const { vectors, retained } = time.result;
      const gram = await onnx.transposeMultiply(vectors, vectors);
      const facts = [
        format(time),
        `keeps ${retained.toFixed(3)}`,
        `off orthonormal by ${frobeniusNorm(subtract(gram, identity(rank))).toExponential(0)}`,
      ];
      if (reference !== undefined) {
        const expected = slice(reference.result, { cols: [0, rank] });
        facts.push(`${(reference.cpu / time.cpu).toFixed(0)} times faster than ml-matrix`);
        facts.push(
          `sine of the angle to its subspace ${(await sineBetween(vectors, expected)).toExponential(0)}`,
        );
      }
      print(`${name} ${size}, ${engine}, rank ${rank}: ${facts.join(", ")}`);
    }
  }
}

print(`${machine()}, ONNX Runtime with ${threads} thread${threads === 1 ? "" : "s"}`);
await timeProducts();
const moments = await makeMoments();
await timeSolve(moments.flat);
let reference;
if (textOption("ml-matrix") !== "no") {
  reference = await best(() => decomposeFully(moments["power law"]), 1);
  print(`power law ${size}, ml-matrix in full: ${format(reference)}`);
}
await timeEigenvectors("power law", moments["power law"], [size / 8, size / 4, size / 2], reference);
await timeEigenvectors("flat", moments.flat, [size / 2]);
print(`peak memory ${(process.resourceUsage().maxRSS / 2 ** 10).toFixed(0)} MiB`);
await onnx.dispose();
