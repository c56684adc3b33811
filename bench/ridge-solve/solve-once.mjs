/** One timed ridge solve on random numbers, in a process that does nothing else. */
import { onnxProducts } from "@kvfold/converter";
import { createMatrix } from "@kvfold/linalg";
import { createRandom } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";

const GIBIBYTE = 2 ** 30;

/** Equations that are checked afterwards; checking all would take as long as solving. */
const CHECKED_ROWS = 16;

export async function solveOnce({ size, outputs, threads, build }) {
  const { ridgeSolveInPlace } = await import(build);
  const engine = await onnxProducts(nodeProvider(), { threads });
  const time = { products: 0 };
  const system = randomSystem(size, outputs);
  const checked = keepRows(system);
  const systemBytes = process.memoryUsage().rss;
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  const solution = await ridgeSolveInPlace({ ...system, lambda: 1, products: timed(engine, time) });
  const seconds = (performance.now() - started) / 1000;
  const { user, system: kernel } = process.cpuUsage(cpu);
  await engine.dispose();
  return {
    seconds,
    productSeconds: time.products / 1000,
    cpuSeconds: (user + kernel) / 1e6,
    systemGibibytes: systemBytes / GIBIBYTE,
    peakGibibytes: (process.resourceUsage().maxRSS * 1024) / GIBIBYTE,
    residual: residualOf(checked, solution),
  };
}

/** A symmetric matrix with a dominant diagonal, and right sides. */
function randomSystem(size, outputs) {
  const gram = createMatrix(size, size);
  const cross = createMatrix(size, outputs);
  const draw = createRandom(1);
  const random = () => 2 * draw() - 1;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < i; j++) gram.data[j * size + i] = gram.data[i * size + j] = random();
    gram.data[i * (size + 1)] = size;
  }
  for (let at = 0; at < cross.data.length; at++) cross.data[at] = random();
  return { gram, cross };
}

/** Some rows of both sides, which the solve overwrites; spread over all. */
function keepRows({ gram, cross }) {
  const rows = Array.from({ length: CHECKED_ROWS }, (_, index) =>
    Math.floor((index * (gram.rows - 1)) / (CHECKED_ROWS - 1)),
  );
  const rowOf = ({ cols, data }, row) => data.slice(row * cols, (row + 1) * cols);
  return rows.map((row) => ({ row, left: rowOf(gram, row), right: rowOf(cross, row) }));
}

/** The largest `|(A + 1) W - B|` of the kept rows, where `B` is up to 1. */
function residualOf(checked, { cols, data }) {
  let largest = 0;
  for (const { row, left, right } of checked) {
    const sums = right.map((value, col) => data[row * cols + col] - value);
    for (const [k, factor] of left.entries())
      for (let col = 0; col < cols; col++) sums[col] += factor * data[k * cols + col];
    for (const value of sums) largest = Math.max(largest, Math.abs(value));
  }
  return largest;
}

/** The engine's products, with the time that they take. */
function timed(engine, time) {
  const around = (name) => async (a, b) => {
    const started = performance.now();
    const product = await engine[name](a, b);
    time.products += performance.now() - started;
    return product;
  };
  return {
    multiply: around("multiply"),
    multiplyTransposed: around("multiplyTransposed"),
    transposeMultiply: around("transposeMultiply"),
  };
}
