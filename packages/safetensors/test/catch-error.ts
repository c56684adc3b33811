import { SafetensorsError } from "../src/index.js";

/** The `SafetensorsError` that `action` fails with; anything else fails the test. */
export async function catchError(action: () => unknown): Promise<SafetensorsError> {
  try {
    await action();
  } catch (error) {
    if (SafetensorsError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("expected a SafetensorsError, found none");
}
