import type { AttentionWeights, Linear } from "@kvfold/decoder";
import { type MatrixProducts, plainProducts } from "@kvfold/linalg";
import type { Basis, JointBasis, Method } from "../methods/method.js";
import { type QuantiseInput, quantiseLinear } from "../quantisation/quantise-linear.js";
import {
  type FoldedLayer,
  type FoldLayerInput,
  foldLayer,
  type GroupBasisInput,
  groupBasis,
} from "./fold-layer.js";
import { type NarrowOutput, narrowOutput, widenOutput } from "./head-directions.js";
import { type GroupSavingsInput, groupSavings, layerSavings } from "./layer-savings.js";
import { type RefitInputsInput, type RefitLinearInput, refitInputs, refitLinear } from "./refit.js";

/** The linear algebra of a fold, block by block: pure functions of plain data, which any thread can run. */
export interface BlockTasks {
  foldLayer(input: FoldLayerInput): Promise<FoldedLayer>;
  /** The basis of one group of heads, for `foldLayer` to fold with. */
  groupBasis(input: GroupBasisInput): Promise<Basis | JointBasis>;
  /** `layerSavings` of one group. */
  groupSavings(input: GroupSavingsInput): Promise<Float64Array>;
  /** What further ranks save: `Method.savings` of the layer. */
  layerSavings(input: FoldLayerInput): Promise<readonly Float64Array[]>;
  /** Its sums are handed over: the caller does not read them afterwards. */
  refitInputs(input: RefitInputsInput): Promise<readonly Linear[]>;
  /** The same goes for these sums. */
  refitLinear(input: RefitLinearInput): Promise<Linear>;
  /** `W_O` in `size` directions of each head's outputs. */
  narrowOutput(input: { readonly attention: AttentionWeights; readonly size: number }): Promise<NarrowOutput>;
  /** In four bits. */
  quantiseLinear(input: QuantiseInput): Promise<Linear>;
  /** `W_O` back in the folded width. */
  widenOutput(input: {
    readonly attention: AttentionWeights;
    readonly narrow: NarrowOutput;
  }): Promise<Linear>;
}

/**
 * Runs the linear algebra of a fold. In a thread of its own, a task goes on while the fold runs the model over its
 * windows; results are the same wherever it runs.
 */
export interface BlockMath {
  run<N extends keyof BlockTasks>(
    task: N,
    input: Parameters<BlockTasks[N]>[0],
  ): Promise<Awaited<ReturnType<BlockTasks[N]>>>;
  /** Layers whose tasks are worth asking for at once; 1 unless said. */
  readonly layersAtOnce?: number;
  dispose(): Promise<void>;
}

export declare namespace createBlockMath {
  interface Options {
    /** Methods of one's own, which plans may name beside those of this package. */
    readonly methods?: readonly Method[] | undefined;
  }
}

/** Runs tasks in the caller's thread, their large products where the port makes them. */
export function createBlockMath(
  products: MatrixProducts,
  { methods }: createBlockMath.Options = {},
): BlockMath {
  const tasks: BlockTasks = {
    foldLayer: (input) => foldLayer(input, products, methods),
    groupBasis: (input) => groupBasis(input, products, methods),
    groupSavings: (input) => groupSavings(input, products, methods),
    layerSavings: (input) => layerSavings(input, products, methods),
    refitInputs: (input) => refitInputs(input, products),
    refitLinear: (input) => refitLinear(input, products),
    narrowOutput: ({ attention, size }) => narrowOutput(attention, size, products),
    quantiseLinear: (input) => quantiseLinear(input, products),
    widenOutput: ({ attention, narrow }) => widenOutput(narrow, attention, products),
  };
  return {
    run<N extends keyof BlockTasks>(task: N, input: Parameters<BlockTasks[N]>[0]) {
      const work = tasks[task] as (given: typeof input) => Promise<Awaited<ReturnType<BlockTasks[N]>>>;
      return work(input);
    },
    dispose: async () => {},
  };
}

/** Runs tasks in the caller's thread, in JavaScript. */
export const inlineBlockMath: BlockMath = createBlockMath(plainProducts);
