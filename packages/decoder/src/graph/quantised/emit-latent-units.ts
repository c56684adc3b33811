import { float32Value } from "@kvfold/onnx";
import { transposeFloats } from "../../model/transpose.js";
import type { Emitter } from "../emitter.js";
import { emitSplitHeads } from "../split-heads.js";
import type { CodedShape } from "./coded-shape.js";
import { emitGraphFloat } from "./emit-widths.js";
import type { LatentUnits } from "./latent-units.js";

/** Latents as the numbers that are coded, in a graph. `slots` are int64 `[N]`. */
export interface CodedUnits {
  /** Latents `[B, N, heads * size]` of tokens in `slots`, less their means and mixed. */
  readonly there: (e: Emitter, latents: string, slots: string) => string;
  /** What that takes from them, `[1, heads, N, size]`. */
  readonly means: (e: Emitter, slots: string) => string;
}

export function emitLatentUnits(e: Emitter, units: LatentUnits, shape: CodedShape): CodedUnits {
  const { period, factors } = units;
  const table = e.floats("means", [period, factors.length], units.means);
  const scales = e.floats("factors", [factors.length], factors);
  const mix = (at: Emitter, rows: string) =>
    emitMixed(at, at.node("Mul", "factors/Mul", [rows, scales]), units, shape);
  // Of constants alone: ONNX Runtime makes it when it opens the model, and each step looks rows up.
  const rows = e.node("Unsqueeze", "means/Unsqueeze", [table, e.graph.int64([0])]);
  const mixedTable = mix(e.at("means"), rows);
  const lookUp = (at: Emitter, rowsOfSlots: string, slots: string, axis: number) => {
    const offsets = at.node("Mod", "offset/Mod", [slots, at.graph.int64([period], [])]);
    return at.node("Gather", "means/Gather", [rowsOfSlots, offsets], { attributes: { axis } });
  };
  return {
    there: (at, latents, slots) => mix(at, at.node("Sub", "Sub", [latents, lookUp(at, table, slots, 0)])),
    means: (at, slots) => emitSplitHeads(at, lookUp(at, mixedTable, slots, 1), shape),
  };
}

/** Rows `[B, N, heads * size]` with the numbers of each head mixed: `outer^T X inner` for a head as `X [p, q]`. */
function emitMixed(e: Emitter, rows: string, units: LatentUnits, { heads, size }: CodedShape): string {
  const { p, q } = units;
  const split = e.reshape("mixed/split/Reshape", rows, [0, 0, heads, p, q]);
  const left = e.node("MatMul", "mixed/outer/MatMul", [emitOuter(e, units), split]);
  const both = q === 1 ? left : e.node("MatMul", "mixed/inner/MatMul", [left, emitInner(e, units, "there")]);
  return e.reshape("mixed/Reshape", both, [0, 0, heads * size]);
}

export declare namespace emitReadersOfUnits {
  interface Options {
    readonly shape: CodedShape;
    /** Dimensions before `size`, heads of latents first; none for one head. */
    readonly dims: readonly number[];
    readonly width: number;
  }
}

/**
 * Matrices `[.., size, width]` that read latents, as ones that read the numbers that are coded. ONNX Runtime does it once, when it
 * opens the model.
 */
export function emitReadersOfUnits(
  e: Emitter,
  readers: string,
  units: LatentUnits,
  { shape: { heads, size }, dims, width }: emitReadersOfUnits.Options,
): string {
  const { factors, p, q } = units;
  const rows = dims.reduce((product, count) => product * count, 1) * size;
  const inverse = Float32Array.from(
    { length: rows },
    (_, at) => 1 / factors[Math.floor((at * heads) / rows) * size + (at % size)]!,
  );
  const scaled = e.node("Mul", "factors/Mul", [readers, e.floats("factors", [...dims, size, 1], inverse)]);
  const split = e.reshape("mixed/split/Reshape", scaled, [...dims, p, q * width]);
  const left = e.node("MatMul", "mixed/outer/MatMul", [emitOuter(e, units), split]);
  if (q === 1) return left;
  const apart = e.reshape("mixed/apart/Reshape", left, [...dims, p, q, width]);
  const both = e.node("MatMul", "mixed/inner/MatMul", [emitInner(e, units, "back"), apart]);
  return e.reshape("mixed/Reshape", both, [...dims, size, width]);
}

/** Symmetric, so it is its own way back. */
const emitOuter = (e: Emitter, { outer, p }: LatentUnits): string =>
  emitGraphFloat(e, e.graph.constant(`constants/mixing/outer/${p}`, float32Value([p, p], outer)));

function emitInner(e: Emitter, { inner, q }: LatentUnits, way: "there" | "back"): string {
  const data = way === "there" ? inner : transposeFloats(inner, q, q);
  return emitGraphFloat(
    e,
    e.graph.constant(`constants/mixing/inner/${q}/${way}`, float32Value([q, q], data)),
  );
}
