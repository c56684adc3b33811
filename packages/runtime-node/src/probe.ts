import type { InferenceSession } from "onnxruntime-node";
import type { ExecutionProvider } from "./execution-provider.js";
import { type FloatType, probeGraph } from "./memory-graphs.js";
import { ortMessage } from "./ort-message.js";
import type { OrtNode } from "./ort-node.js";

/** Runs the least there is on a device, and says why it does not work. */
export async function probe(
  ort: OrtNode,
  device: ExecutionProvider,
  type: FloatType,
): Promise<string | undefined> {
  if (device === "cpu") return undefined;
  let session: InferenceSession | undefined;
  try {
    session = await ort.InferenceSession.create(probeGraph(type), {
      executionProviders: [device],
      logSeverityLevel: 4,
    });
    const { one, two } = NUMBERS[type];
    const { y } = await session.run({ x: new ort.Tensor(type, one, [1]) });
    return y!.data[0] === two || y!.data[0] === 2 ? undefined : `1 + 1 gives ${String(y!.data[0])}`;
  } catch (cause) {
    return ortMessage(cause);
  } finally {
    await session?.release();
  }
}

/** 1, and 2 as it comes back: float16 as bits, or as a number where JavaScript has such arrays. */
const NUMBERS = {
  float32: { one: Float32Array.of(1), two: 2 },
  float16: { one: Uint16Array.of(0x3c00), two: 0x4000 },
} as const;
