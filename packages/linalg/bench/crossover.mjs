/**
 * Where this package overtakes ml-matrix: each operation at many sizes, as the table of docs/decisions/0001-own-linear-algebra.md.
 * `node bench/crossover.mjs [sizes, separated by commas] [rounds]`. Runs are interleaved, and the least CPU time of each side
 * counts, so that a busy machine harms both alike. Copies from and to ml-matrix count as its own.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { build } from "tsup";

const sizes = (process.argv[2] ?? "4,8,16,32,48,64,96,128,192,256,512").split(",").map(Number);
const rounds = Number(process.argv[3] ?? 5);
/** CPU milliseconds that one side of a comparison takes in a round, about. */
const ROUND_MS = 40;

const internals = await importInternals();
const { createMatrix, multiply, transposeMultiply, ridgeSolve } = internals;

/** Compiles the sources: what is compared is not exported by the package. */
async function importInternals() {
  const folder = await mkdtemp(join(import.meta.dirname, ".compiled-"));
  try {
    const entry = { internals: join(import.meta.dirname, "internals.ts") };
    await build({
      entry,
      outDir: folder,
      format: "esm",
      config: false,
      silent: true,
      external: ["ml-matrix"],
    });
    return await import(join(folder, "internals.js"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function randomMatrix(rows, cols, seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return createMatrix(rows, cols, Float64Array.from({ length: rows * cols }, next));
}

const toMl = ({ rows, cols, data }) => Matrix.from1DArray(rows, cols, data);

/** A second moment, scaled to values around 1. */
function momentOf(n) {
  const rows = randomMatrix(2 * n, n, 1);
  const moment = transposeMultiply(rows, rows);
  return { ...moment, data: moment.data.map((value) => value / n) };
}

/** CPU milliseconds of one run, of this process alone. */
async function time(action, repeats) {
  const start = process.cpuUsage();
  for (let i = 0; i < repeats; i++) await action();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e3 / repeats;
}

/** The least time of each of two actions. */
async function compare(ours, theirs) {
  const sides = [];
  for (const action of [ours, theirs]) {
    await action();
    const once = await time(action, 3);
    sides.push({ action, repeats: Math.max(1, Math.round(ROUND_MS / Math.max(once, 1e-3))), least: once });
  }
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) side.least = Math.min(side.least, await time(side.action, side.repeats));
  }
  return sides.map(({ least }) => least);
}

/** Each operation at size `n`: this package's way, and ml-matrix's. */
function operationsOf(n) {
  const [a, b, moment] = [randomMatrix(n, n, 2), randomMatrix(n, n, 3), momentOf(n)];
  const rows = randomMatrix(2 * n, n, 4);
  const spectrum = (of, rank) =>
    internals.runInPlace(internals.blockedSpectrum({ ...of, data: of.data.slice() }, rank));
  return {
    product: [() => multiply(a, b), () => toMl(a).mmul(toMl(b)).to1DArray()],
    "all eigenvectors": [() => spectrum(moment, n), () => internals.smallSpectrum(moment, n)],
    "a quarter of them": [() => spectrum(moment, n / 4), () => internals.smallSpectrum(moment, n / 4)],
    "Cholesky and solve": [
      () => ridgeSolve({ gram: moment, cross: b, lambda: 0 }),
      () => new CholeskyDecomposition(toMl(moment)).solve(toMl(b)).to1DArray(),
    ],
    "singular vectors of [2n, n]": [
      () => spectrum(transposeMultiply(rows, rows), n / 2),
      () => internals.decomposeRows(rows, n / 2),
    ],
  };
}

const format = (milliseconds) => Number(milliseconds.toPrecision(2)).toString();

const names = Object.keys(operationsOf(4));
process.stdout.write(`| n | ${names.join(" | ")} |\n|${" --- |".repeat(names.length + 1)}\n`);
for (const n of sizes) {
  const cells = [];
  for (const [ours, theirs] of Object.values(operationsOf(n))) {
    const [own, other] = await compare(ours, theirs);
    cells.push(`${format(own)} / ${format(other)}`);
  }
  process.stdout.write(`| ${n} | ${cells.join(" | ")} |\n`);
}
