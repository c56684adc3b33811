import type { SessionProvider } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";

/**
 * ONNX Runtime for Node, from the optional peer dependency `@kvfold/runtime-node`.
 *
 * @throws {ConverterError} `invalid-option` when it is not installed.
 */
export async function defaultProvider(): Promise<SessionProvider> {
  try {
    const { nodeProvider } = await import("@kvfold/runtime-node");
    return nodeProvider();
  } catch (cause) {
    throw new ConverterError(
      "invalid-option",
      `provider: none was given, and that of @kvfold/runtime-node cannot be loaded (${(cause as Error).message}); npm install @kvfold/runtime-node onnxruntime-node`,
      { option: "provider", cause },
    );
  }
}
