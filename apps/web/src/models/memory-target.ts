import type { ModelTarget } from "@kvfold/decoder";
import type { ModelFiles } from "./model-files.js";

/** A model's files as blobs, which browsers move to disk when memory is short. */
export function memoryTarget(): { readonly target: ModelTarget; readonly files: () => ModelFiles } {
  const files = new Map<string, Blob>();
  const target: ModelTarget = {
    async open(path) {
      const parts: Blob[] = [];
      return {
        // Into a blob at once: the bytes may be written over afterwards, and a whole model need not lie in the heap.
        write: async (bytes) => void parts.push(new Blob([bytes as Uint8Array<ArrayBuffer>])),
        close: async () => void files.set(path, new Blob(parts)),
      };
    },
  };
  return { target, files: () => files };
}
