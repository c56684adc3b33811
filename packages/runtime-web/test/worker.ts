import type { OrtWeb } from "../src/index.js";
import { serveRuntime } from "../src/worker.js";
import { type HeldMemory, trackMemory } from "./track-memory.js";

const memory = trackMemory();
/** What is held each time the worker says something: after every step. */
const history: HeldMemory[] = [];
const post = globalThis.postMessage.bind(globalThis) as (message: unknown) => void;

/** Tokens that each run of a decoder has read. */
const tokensRead: number[] = [];

/** ONNX Runtime, whose runs are noted. */
const noting = <Ort extends OrtWeb>(ort: Ort): Ort => ({
  ...ort,
  InferenceSession: {
    async create(bytes: Uint8Array, options?: object) {
      const session = await ort.InferenceSession.create(bytes, options);
      const run = session.run.bind(session) as typeof session.run;
      return Object.assign(session, {
        run(...[feeds, ...rest]: Parameters<typeof session.run>) {
          tokensRead.push(
            (feeds.input_ids as { readonly dims?: readonly number[] } | undefined)?.dims?.[1] ?? 0,
          );
          return run(feeds, ...rest);
        },
      });
    },
  },
});

Object.assign(globalThis, {
  memory,
  tokensRead,
  memoryHistory: history,
  postMessage(message: unknown) {
    history.push(memory.held());
    post(message);
  },
});

serveRuntime(
  async (provider) =>
    provider === "webgpu"
      ? await import("onnxruntime-web/webgpu")
      : noting(await import("onnxruntime-web/wasm")),
  { wasmPaths: "/ort/" },
);
