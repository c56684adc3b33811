import { RuntimeError, type RuntimeErrorCode } from "@kvfold/runtime";

/** What ONNX Runtime, WebAssembly and JavaScript say when memory is used up. */
const OUT_OF_MEMORY =
  /bad_alloc|out of memory|allocation failed|failed to allocate|Invalid typed array length|\bOOM\b/i;
/** What ONNX Runtime says when its own files did not load. */
const NO_BACKEND = /no available backend found/;

/** An error of ONNX Runtime as one of ours. */
export function ortFailure(code: RuntimeErrorCode, doing: string, cause: unknown): RuntimeError {
  if (RuntimeError.isInstance(cause)) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (OUT_OF_MEMORY.test(message)) {
    const advice = "close other tabs, or use a smaller model or a shorter context";
    return new RuntimeError("out-of-memory", `${doing}: found too little memory (${message}): ${advice}`, {
      cause,
    });
  }
  if (NO_BACKEND.test(message)) {
    const advice = "serve the files of onnxruntime-web/dist, and say with wasmPaths where";
    return new RuntimeError(
      "runtime-missing",
      `${doing}: ONNX Runtime did not load (${message}): ${advice}`,
      { cause },
    );
  }
  return new RuntimeError(code, `${doing}: ${message}`, { cause });
}
