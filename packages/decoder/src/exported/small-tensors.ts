import type { Initializer } from "@kvfold/onnx";
import type { GraphFile } from "../checkpoint/graph-file.js";

/** Bytes of the small tensors of a graph. */
export type SmallTensors = ReadonlyMap<Initializer, Uint8Array>;

/** Sizes and constants of a graph, which some tools keep in external data like the weights. */
const SMALL_BYTES = 4096;

export async function readSmallTensors(file: GraphFile): Promise<SmallTensors> {
  const small = new Map<Initializer, Uint8Array>();
  for (const tensor of file.view.initializers.values()) {
    const byteLength = tensor.location?.byteLength ?? tensor.value?.bytes.byteLength ?? 0;
    if (byteLength <= SMALL_BYTES) small.set(tensor, await file.bytesOf(tensor));
  }
  return small;
}
