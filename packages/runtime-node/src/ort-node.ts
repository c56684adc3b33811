import { RuntimeError } from "@kvfold/runtime";

type Module = typeof import("onnxruntime-node");

/** The `onnxruntime-node` module, or what of it is used. */
export type OrtNode = Pick<Module, "InferenceSession" | "Tensor"> &
  Partial<Pick<Module, "listSupportedBackends">>;

/**
 * Loads the package.
 *
 * @throws {RuntimeError} `runtime-missing` when it is not installed or does not load.
 */
export async function importOrt(): Promise<OrtNode> {
  try {
    const module = await import("onnxruntime-node");
    const ort = module.default ?? module;
    // What else it would print about GPUs that are not there arrives as an error anyway.
    ort.env.logLevel = "fatal";
    return ort;
  } catch (cause) {
    throw new RuntimeError(
      "runtime-missing",
      "createSession: expected the package onnxruntime-node, found none that loads: npm install onnxruntime-node",
      { cause },
    );
  }
}
