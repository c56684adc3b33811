import type { Gpu, GpuAdapter } from "./webgpu.js";

/** Milliseconds. A browser whose GPU process is stuck never answers; one that has to start it takes a second or two. */
const ANSWER_LIMIT = 10_000;

/**
 * Asks the browser for a GPU, and does not wait for one that never comes.
 *
 * @returns the GPU, or `undefined` where the browser would use none.
 * @throws {Error} when there is no answer, with that as its message.
 */
export async function requestAdapter(gpu: Gpu): Promise<GpuAdapter | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    const seconds = ANSWER_LIMIT / 1000;
    const error = new Error(`a browser that does not answer within ${seconds} seconds when asked for one`);
    timer = setTimeout(() => reject(error), ANSWER_LIMIT);
  });
  try {
    return (await Promise.race([gpu.requestAdapter(), silence])) ?? undefined;
  } finally {
    clearTimeout(timer);
  }
}
