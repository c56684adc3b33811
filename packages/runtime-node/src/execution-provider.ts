import { RuntimeError } from "@kvfold/runtime";
import type { OrtNode } from "./ort-node.js";

/** What can run a model in Node: the CPU, or a GPU through one of its programming interfaces. */
export type ExecutionProvider = "cpu" | "webgpu" | "cuda" | "dml" | "coreml";

/**
 * In the order in which one is looked for: caches stay in GPU memory only with `webgpu`, so that it comes before the
 * other GPUs.
 */
export const executionProviders: readonly ExecutionProvider[] = ["webgpu", "cuda", "dml", "coreml", "cpu"];

/**
 * Makes sure that ONNX Runtime's package knows all of these providers. Whether there is such a GPU shows only when a session
 * is made.
 *
 * @throws {RuntimeError} `invalid-argument` for an empty list or a provider that is not in the package.
 */
export function checkExecutionProviders(ort: OrtNode, wanted: readonly string[]): void {
  const known = supportedProviders(ort);
  if (wanted.length === 0) throw invalid(`expected at least one of ${known.join(", ")}, found none`);
  const unknown = wanted.find((name) => !(known as readonly string[]).includes(name));
  if (unknown === undefined) return;
  throw invalid(`expected some of ${known.join(", ")}, which this onnxruntime-node has, found ${unknown}`);
}

/** The providers that the package has, in order of preference. Versions before 1.23 do not tell. */
export function supportedProviders({ listSupportedBackends }: OrtNode): readonly ExecutionProvider[] {
  if (listSupportedBackends === undefined) return executionProviders;
  const names = new Set(listSupportedBackends().map(({ name }) => name));
  return executionProviders.filter((name) => names.has(name));
}

const invalid = (message: string): RuntimeError =>
  new RuntimeError("invalid-argument", `nodeProvider: executionProviders: ${message}`);
