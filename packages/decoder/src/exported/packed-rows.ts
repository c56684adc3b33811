import { dequantiseRows } from "../quantisation/dequantise-rows.js";
import { type Constant, sizeOf } from "./constants.js";
import type { ExportedGraph } from "./exported-graph.js";

/** A matrix in few bits. */
export interface PackedRows {
  /** The tensor that holds its codes. */
  readonly origin: string;
  /** What the codes stand for, `[rows, columns]`. */
  read(): Promise<Float32Array>;
}

/** Names of the tensors that hold codes, scales and maybe zero points. */
export type PackedNames = readonly [codes: string, scales: string, zeros: string | undefined];

/** Recognises tensors that are packed as `dequantiseRows` says. */
export function matchPackedRows(
  graph: ExportedGraph,
  [codesName, scalesName, zerosName = ""]: PackedNames,
  layout: Required<dequantiseRows.Layout>,
): PackedRows | undefined {
  const [codes, scales] = [graph.constant(codesName), graph.constant(scalesName)];
  const zeros = graph.constant(zerosName);
  if (codes === undefined || scales === undefined || !isPacked(layout, codes, scales, zeros))
    return undefined;
  return {
    origin: codes.origin,
    read: async () =>
      dequantiseRows(layout, await codes.bytes(), await scales.read(), await readZeros(zeros)),
  };
}

/** Whether tensors have the sizes that the layout asks for. */
function isPacked(
  { rows, columns, bits, blockSize }: Required<dequantiseRows.Layout>,
  codes: Constant,
  scales: Constant,
  zeros: Constant | undefined,
): boolean {
  const blocks = Math.ceil(columns / blockSize);
  const zeroCount = zeros?.type === "uint8" ? rows * Math.ceil((blocks * bits) / 8) : rows * blocks;
  return (
    (bits === 4 || bits === 8) &&
    blockSize >= 16 &&
    codes.type === "uint8" &&
    sizeOf(codes) === (rows * blocks * blockSize * bits) / 8 &&
    sizeOf(scales) === rows * blocks &&
    (zeros === undefined || sizeOf(zeros) === zeroCount)
  );
}

/** Zero points are packed like the codes, or numbers like the scales. */
async function readZeros(zeros: Constant | undefined): Promise<Uint8Array | Float32Array | undefined> {
  if (zeros === undefined) return undefined;
  return zeros.type === "uint8" ? zeros.bytes() : zeros.read();
}
