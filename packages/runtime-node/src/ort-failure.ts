import { RuntimeError, type RuntimeErrorCode } from "@kvfold/runtime";
import { ortMessage } from "./ort-message.js";

/** What ONNX Runtime, Dawn and CUDA say when memory is used up. */
const OUT_OF_MEMORY = /bad_alloc|out of memory|failed to allocate|allocation failed|\bOOM\b/i;
const DEVICE_LOST = /device (?:is|was) lost|device lost|lost device/i;
/** What WebGPU says of kernels with float16 on a GPU without it. */
const NO_FLOAT16 = /requires f16|does not support (?:f16|fp16|float16)/i;

/** An error of ONNX Runtime as one of ours. */
export function ortFailure(code: RuntimeErrorCode, doing: string, cause: unknown): RuntimeError {
  if (RuntimeError.isInstance(cause)) return cause;
  const message = ortMessage(cause);
  const fail = (found: RuntimeErrorCode, advice: string) =>
    new RuntimeError(found, `${doing}: ${message}: ${advice}`, { cause });
  if (OUT_OF_MEMORY.test(message))
    return fail("out-of-memory", "memory is used up; use a smaller model or a shorter context");
  if (DEVICE_LOST.test(message)) return fail("device-lost", "the GPU was lost; load the model again");
  if (NO_FLOAT16.test(message))
    return fail(code, "this GPU does not compute with float16; use float32 or four-bit weights");
  return new RuntimeError(code, `${doing}: ${message}`, { cause });
}
