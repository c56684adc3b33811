import { readFile } from "node:fs/promises";
import { readModel } from "@kvfold/onnx";
import type { ModelSource } from "@kvfold/runtime";
import type { InferenceSession } from "onnxruntime-node";

/** How a graph on a GPU gives back its cache. */
export interface PresentOutputs {
  /**
   * Whether runs leave new presents on the GPU. ONNX Runtime 1.30 then writes into no given tensor at all, so that graphs
   * whose caches are written in place are run without.
   */
  readonly areLeft: boolean;
  readonly locations: Pick<InferenceSession.SessionOptions, "preferredOutputLocation">;
}

/** How kvfold names dimension 2 of pasts and presents that may share their memory. */
const IN_PLACE_DIMENSION = "cache_length";

/** Finds out what becomes of a graph's cache; ONNX Runtime has to know before it loads the graph. */
export async function readPresents(source: ModelSource): Promise<PresentOutputs> {
  const bytes = "path" in source ? await readFile(source.path) : source.bytes;
  const { outputs } = readModel(bytes);
  const presents = outputs.filter(({ name }) => name.startsWith("present."));
  const areLeft = presents.some(({ dims }) => dims?.[2] !== IN_PLACE_DIMENSION);
  if (!areLeft) return { areLeft, locations: {} };
  const onGpu = presents.map(({ name }) => [name, "gpu-buffer"] as const);
  return { areLeft, locations: { preferredOutputLocation: Object.fromEntries(onGpu) } };
}
