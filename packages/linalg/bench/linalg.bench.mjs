/**
 * Compares the built package with ml-matrix: `pnpm build`, then `node bench/linalg.bench.mjs`. What ONNX Runtime makes of
 * the large products is in `bench/leading-eigenvectors.mjs` of the repository.
 * Runs are interleaved, and the minimum of CPU time of each side counts, so that a busy machine harms both alike.
 */
import {
  cholesky,
  createMatrix,
  multiply,
  ridgeSolve,
  symmetricEigen,
  topEigenvectors,
  transposeMultiply,
} from "@kvfold/linalg";
import { CholeskyDecomposition, EigenvalueDecomposition, Matrix } from "ml-matrix";

const rounds = Number(process.argv[2] ?? 3);

function randomMatrix(rows, cols, seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return createMatrix(rows, cols, Float64Array.from({ length: rows * cols }, next));
}

function gramOf(n) {
  const x = randomMatrix(2 * n, n, 1);
  return transposeMultiply(x, x);
}

const toMlMatrix = ({ rows, cols, data }) => Matrix.from1DArray(rows, cols, data);

/** CPU milliseconds, of this process alone. */
function time(action) {
  const start = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e3;
}

function compare(name, ours, theirs, flops) {
  const best = { ours: Number.POSITIVE_INFINITY, theirs: Number.POSITIVE_INFINITY };
  for (let round = 0; round < rounds; round++) {
    best.ours = Math.min(best.ours, time(ours));
    best.theirs = Math.min(best.theirs, time(theirs));
  }
  const rate = flops ? `, ${(flops / best.ours / 1e6).toFixed(1)} GFLOP/s` : "";
  const ratio = (best.theirs / best.ours).toFixed(1);
  process.stdout.write(
    `${name}: ${best.ours.toFixed(0)} ms, ml-matrix ${best.theirs.toFixed(0)} ms, ${ratio} times faster${rate}\n`,
  );
}

for (const n of [512, 1024]) {
  const a = randomMatrix(n, n, 1);
  const b = randomMatrix(n, n, 2);
  const [mlA, mlB] = [toMlMatrix(a), toMlMatrix(b)];
  compare(
    `multiply ${n}`,
    () => multiply(a, b),
    () => mlA.mmul(mlB),
    2 * n ** 3,
  );
}
for (const n of [512, 1024]) {
  const gram = gramOf(n);
  const mlGram = toMlMatrix(gram);
  const decompose = () => new EigenvalueDecomposition(mlGram, { assumeSymmetric: true });
  compare(`symmetricEigen ${n}`, () => symmetricEigen(gram), decompose);
  compare(`topEigenvectors ${n}, rank ${n / 4}`, () => topEigenvectors(gram, n / 4), decompose);
}
{
  const n = 1024;
  const gram = gramOf(n);
  const cross = randomMatrix(n, n, 3);
  const [mlGram, mlCross] = [toMlMatrix(gram), toMlMatrix(cross)];
  compare(
    `cholesky ${n}`,
    () => cholesky(gram),
    () => new CholeskyDecomposition(mlGram),
    n ** 3 / 3,
  );
  compare(
    `ridgeSolve ${n} x ${n}`,
    () => ridgeSolve({ gram, cross, lambda: 0 }),
    () => new CholeskyDecomposition(mlGram).solve(mlCross),
    n ** 3 / 3 + 2 * n ** 3,
  );
}
