/** What the benchmark sets against ml-matrix, whatever the size. */
export { createMatrix, multiply, ridgeSolve, transposeMultiply } from "../src/index.js";
export { blockedSpectrum } from "../src/internal/blocked-spectrum.js";
export { decomposeRows } from "../src/internal/row-spectrum.js";
export { smallSpectrum } from "../src/internal/small-spectrum.js";
export { runInPlace } from "../src/internal/steps.js";
