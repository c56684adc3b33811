import { type Dtype, dtypes, type GgufDtype, ggufDtypes } from "@kvfold/decoder";

/** What weights are stored in, over all formats. */
export type StoredDtype = Dtype | GgufDtype;

/** Those of ONNX graphs. */
export const onnxDtypes = (candidates: readonly StoredDtype[]): readonly Dtype[] =>
  candidates.filter((dtype): dtype is Dtype => Object.hasOwn(dtypes, dtype));

/** Those of GGUF files. */
export const ggufFileDtypes = (candidates: readonly StoredDtype[]): readonly GgufDtype[] =>
  candidates.filter((dtype): dtype is GgufDtype => Object.hasOwn(ggufDtypes, dtype));

/** Bytes of a cached number: runtimes cache in the type of activations, and llama.cpp in float16 beside Q8_0. */
export const cachedNumberBytes = (dtype: StoredDtype): number => (dtype === "fp16" || dtype === "q8" ? 2 : 4);

/** Whether a plan writes a file whose weights are rounded to four bits: calibration text then makes it better. */
export const roundsToFourBits = (plan: {
  readonly formats: readonly string[];
  readonly dtypes: readonly StoredDtype[];
}): boolean => plan.formats.includes("onnx") && plan.dtypes.includes("q4");
