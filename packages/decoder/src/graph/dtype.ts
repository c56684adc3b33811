import type { CachePrecision } from "@kvfold/runtime";
import type { FloatType, ProjectionFormat } from "./emitter.js";

/** What the weights of a graph are stored in, as transformers.js names it. */
export type Dtype = "fp32" | "fp16" | "q4";

/** What a dtype means for a graph. */
export interface DtypeTraits {
  /** Element type of hidden states, KV cache, and all weights but quantised projections. */
  readonly floatType: FloatType;
  readonly projections: ProjectionFormat;
  /** The name under which transformers.js looks for the graph. */
  readonly fileName: string;
  /** The graph for runtimes that own the cache, over the same weights. */
  readonly deltaFileName: string;
  /** The graph whose layers and heads may keep different tokens, over the same weights. */
  readonly policyFileName: string;
}

/** The dtypes of ONNX outputs, the most precise first. */
export const dtypes: Readonly<Record<Dtype, DtypeTraits>> = {
  fp32: {
    floatType: "float32",
    projections: "float",
    fileName: "model.onnx",
    deltaFileName: "model_delta.onnx",
    policyFileName: "model_policy.onnx",
  },
  fp16: {
    floatType: "float16",
    projections: "float",
    fileName: "model_fp16.onnx",
    deltaFileName: "model_fp16_delta.onnx",
    policyFileName: "model_fp16_policy.onnx",
  },
  q4: {
    floatType: "float32",
    projections: "q4",
    fileName: "model_q4.onnx",
    deltaFileName: "model_q4_delta.onnx",
    policyFileName: "model_q4_policy.onnx",
  },
};

/** What the policy graph over the same weights is called whose cache is quantised. */
export const quantisedFileName = (policyFileName: string, precision: CachePrecision): string =>
  policyFileName.replace(".onnx", `_${precision}.onnx`);

/** The first of `candidates` that a checkpoint can be in, if any: checkpoints hold floats. */
export const floatDtype = (candidates: readonly Dtype[]): Dtype | undefined =>
  candidates.find((dtype) => dtypes[dtype].projections === "float");
