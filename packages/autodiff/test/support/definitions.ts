import { float32Value, type GraphBuilder, tensorValue } from "@kvfold/onnx";

/** A number as a constant of a graph. */
export function scalar(graph: GraphBuilder, value: number, type: "float32" | "float64"): string {
  const number =
    type === "float32"
      ? float32Value([], Float32Array.of(value))
      : tensorValue("float64", [], new Uint8Array(Float64Array.of(value).buffer));
  return graph.constant(`constants/${type}/${value}`, number);
}

/** A table of numbers as a constant of a graph. */
export function table(
  graph: GraphBuilder,
  name: string,
  dims: readonly number[],
  values: readonly number[],
  type: "float32" | "float64",
): string {
  // Both types get what float32 holds.
  const data = type === "float32" ? Float32Array.from(values) : Float64Array.from(values.map(Math.fround));
  return graph.constant(name, tensorValue(type, dims, new Uint8Array(data.buffer)));
}

/** Terms of the series below: the last one is under 1e-20 for numbers up to 4, and the sum rounds by 1e-10 there. */
const TERMS = 80;

/**
 * The error function of numbers up to 4, by its Taylor series: `2 / √π Σ (-1)^n x^(2n + 1) / (n! (2n + 1))`. Each term is
 * written as a multiple of the one before: ONNX Runtime leaves out sums with very small constants.
 */
export function emitErf(graph: GraphBuilder, x: string, type: "float32" | "float64"): string {
  const square = graph.node("Mul", [x, x], { name: "erf/square" });
  const one = scalar(graph, 1, type);
  let sum = one;
  for (let n = TERMS; n > 0; n--) {
    const ratio = scalar(graph, -(2 * n - 1) / (n * (2 * n + 1)), type);
    const scaled = graph.node("Mul", [square, ratio], { name: `erf/scaled/${n}` });
    const product = graph.node("Mul", [sum, scaled], { name: `erf/product/${n}` });
    sum = graph.node("Add", [product, one], { name: `erf/sum/${n}` });
  }
  const factor = scalar(graph, 2 / Math.sqrt(Math.PI), type);
  return graph.node("Mul", [graph.node("Mul", [sum, factor], { name: "erf/factor" }), x], {
    name: "erf/last",
  });
}
