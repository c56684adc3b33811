import type { ByteSink } from "@kvfold/onnx";
import type { TensorSink } from "./checkpoint-output.js";

/** Where the files of a model go: an empty folder on a disk, in a browser's storage or in memory. Paths have slashes. */
export interface ModelTarget {
  open(path: string): Promise<ByteSink>;
  /** Opens a safetensors file. A target without it takes no checkpoints, only ONNX. */
  openTensors?(path: string, dtype: "F32" | "F16"): Promise<TensorSink>;
}

/** Writes a whole file. */
export async function writeBytes(target: ModelTarget, path: string, bytes: Uint8Array): Promise<void> {
  const sink = await target.open(path);
  try {
    await sink.write(bytes);
  } finally {
    await sink.close();
  }
}
