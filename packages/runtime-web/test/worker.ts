import { serveRuntime } from "../src/worker.js";
import { type HeldMemory, trackMemory } from "./track-memory.js";

const memory = trackMemory();
/** What is held each time the worker says something: after every step. */
const history: HeldMemory[] = [];
const post = globalThis.postMessage.bind(globalThis) as (message: unknown) => void;

Object.assign(globalThis, {
  memory,
  memoryHistory: history,
  postMessage(message: unknown) {
    history.push(memory.held());
    post(message);
  },
});

serveRuntime(
  (provider) => (provider === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm")),
  { wasmPaths: "/ort/" },
);
