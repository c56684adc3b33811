import type { ModelSource } from "@kvfold/runtime";

/** A model in memory as files of a server: its graph under `path`, weights under their own names. */
export function servedFiles(source: ModelSource, path = "/model.onnx"): Readonly<Record<string, Uint8Array>> {
  if (!("bytes" in source)) throw new Error("expected a model in memory");
  const weights = (source.externalData ?? []).map(({ path, data }) => [`/${path}`, data] as const);
  return { [path]: source.bytes, ...Object.fromEntries(weights) };
}
