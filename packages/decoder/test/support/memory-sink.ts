import type { OpenSink } from "../../src/output/onnx-output.js";

/** Files that are written to memory; they appear in `files` when they are closed. */
export function memorySink(files: Map<string, Uint8Array>): OpenSink {
  return async (fileName) => {
    const parts: Uint8Array[] = [];
    return {
      write: async (bytes) => {
        parts.push(bytes.slice());
      },
      close: async () => {
        files.set(fileName, new Uint8Array(Buffer.concat(parts)));
      },
    };
  };
}
