import { createCausalLM } from "@kvfold/runtime";
import { webProvider } from "@kvfold/runtime-web";
import { serveDecode } from "./serve-decode.mjs";

const importOrt = (provider) =>
  provider === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm");

serveDecode(async ({ model, graph, provider, threads, chunk }) => {
  const options = { executionProvider: provider, wasmPaths: "/ort/" };
  const web = webProvider(await importOrt(provider), options);
  const session = await web.createSession({ path: `/models/${model}/onnx/${graph}` }, { threads });
  const state = createCausalLM(session, { prefillChunk: chunk }).createState();
  return (ids) => state.prefill(ids);
});
