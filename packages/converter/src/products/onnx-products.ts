import { OPSETS } from "@kvfold/decoder/graph";
import { createMatrix, type Matrix, type MatrixProducts } from "@kvfold/linalg";
import { createGraphBuilder } from "@kvfold/onnx";
import { type Session, type SessionProvider, Tensor } from "@kvfold/runtime";

/** Products made by ONNX Runtime, until disposed. */
export interface OnnxProducts extends MatrixProducts {
  /** Frees the runtime's sessions. A second call does nothing. */
  dispose(): Promise<void>;
}

export declare namespace onnxProducts {
  interface Options {
    /** Threads of one product; as many as the runtime likes when left out. */
    readonly threads?: number | undefined;
    /** Threads of a product of at least 2^28 multiply-adds, which takes about ten milliseconds with one; `threads` when left out. */
    readonly largeThreads?: number | undefined;
  }
}

/** Multiply-adds of a product that is worth the threads of `largeThreads`. */
const LARGE = 2 ** 28;

/**
 * Float64 matrix products in ONNX Runtime, for `leadingEigen`, `ridgeSolve` and `obliqueBasis` of `@kvfold/linalg`.
 * Arguments are handed over and results returned without a copy, transposes included.
 *
 * Numerics: float64 sums in an order that is ONNX Runtime's own: results may differ in the last digits between machines
 * and numbers of threads. WebGPU has no float64; a provider of it leaves these graphs to the CPU or refuses them.
 *
 * @throws {RuntimeError} what the provider throws; from the products also when their shapes do not fit.
 * @example
 * ```ts no-run
 * import { onnxProducts } from "@kvfold/converter";
 * import { leadingEigen } from "@kvfold/linalg";
 * import { nodeProvider } from "@kvfold/runtime-node";
 *
 * const products = await onnxProducts(nodeProvider());
 * const { vectors } = await leadingEigen(moment, 512, { products });
 * await products.dispose();
 * ```
 */
export async function onnxProducts(
  provider: SessionProvider,
  { threads, largeThreads = threads }: onnxProducts.Options = {},
): Promise<OnnxProducts> {
  const small = await openProducts(provider, threads);
  if (largeThreads === threads) return small;
  const large = await openProducts(provider, largeThreads).catch(async (error: unknown) => {
    await small.dispose();
    throw error;
  });
  const of = (size: number): OnnxProducts => (size < LARGE ? small : large);
  return {
    multiply: (a, b) => of(a.rows * a.cols * b.cols).multiply(a, b),
    multiplyTransposed: (a, b) => of(a.rows * a.cols * b.rows).multiplyTransposed(a, b),
    transposeMultiply: (a, b) => of(a.rows * a.cols * b.cols).transposeMultiply(a, b),
    async dispose() {
      await Promise.all([small.dispose(), large.dispose()]);
    },
  };
}

/** Products of any size with so many threads. */
async function openProducts(provider: SessionProvider, threads: number | undefined): Promise<OnnxProducts> {
  // The threads of three sessions would else keep each other from work, and the model's beside them.
  const options = { threads, spinning: false };
  const open = (graph: ProductGraph) => provider.createSession({ bytes: productGraph(graph) }, options);
  const sessions: Session[] = [];
  const dispose = async () => {
    await Promise.all(sessions.map((session) => session.dispose()));
  };
  try {
    for (const graph of [plain, transposedRight, transposedLeft]) sessions.push(await open(graph));
  } catch (error) {
    await dispose();
    throw error;
  }
  const [multiply, multiplyTransposed, transposeMultiply] = sessions as [Session, Session, Session];
  return {
    multiply: (a, b) => run(multiply, a, b, a.rows, b.cols),
    multiplyTransposed: (a, b) => run(multiplyTransposed, a, b, a.rows, b.rows),
    transposeMultiply: (a, b) => run(transposeMultiply, a, b, a.cols, b.cols),
    dispose,
  };
}

/** The shapes of a product's arguments and the attributes of its `Gemm`, which takes transposes at no cost. */
interface ProductGraph {
  readonly a: readonly [string, string];
  readonly b: readonly [string, string];
  readonly attributes: Readonly<Record<string, number>>;
}

const plain: ProductGraph = { a: ["m", "k"], b: ["k", "n"], attributes: {} };
const transposedRight: ProductGraph = { a: ["m", "k"], b: ["n", "k"], attributes: { transB: 1 } };
const transposedLeft: ProductGraph = { a: ["k", "m"], b: ["k", "n"], attributes: { transA: 1 } };

function productGraph({ a, b, attributes }: ProductGraph): Uint8Array {
  const graph = createGraphBuilder({ graphName: "product", opsets: OPSETS });
  const inputs = [graph.input("a", "float64", a), graph.input("b", "float64", b)];
  graph.nodeWithOutputs("Gemm", inputs, ["product"], { name: "/Gemm", attributes });
  graph.output("product", "float64", ["m", "n"]);
  return graph.toBytes();
}

async function run(session: Session, a: Matrix, b: Matrix, rows: number, cols: number): Promise<Matrix> {
  const { product } = await session.run({ a: toTensor(a), b: toTensor(b) });
  return createMatrix(rows, cols, product!.data as Float64Array);
}

const toTensor = ({ rows, cols, data }: Matrix): Tensor => new Tensor("float64", data, [rows, cols]);
