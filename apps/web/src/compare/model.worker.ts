/** The thread that runs a model. */
import { type CausalLM, cacheBytesPerToken, createCausalLM, generate, perplexity } from "@kvfold/runtime";
import { webProvider } from "@kvfold/runtime-web";
import * as ort from "onnxruntime-web/wasm";
import type { ModelFiles } from "../models/model-files.js";
import { messageOf } from "../ui/format.js";
import type { LoadedInfo, ModelAnswer, ModelRequest } from "./model-messages.js";

const post = (answer: ModelAnswer): void => self.postMessage(answer);

let model: CausalLM | undefined;
const stopped = new Set<number>();

self.addEventListener("message", ({ data }: MessageEvent<ModelRequest>) => {
  if (data.type === "stop") stopped.add(data.id);
  else
    answer(data).catch((error: unknown) => post({ id: data.id, type: "failed", message: messageOf(error) }));
});

async function answer(request: Exclude<ModelRequest, { readonly type: "stop" }>): Promise<void> {
  const { id } = request;
  switch (request.type) {
    case "load":
      return post({ id, type: "loaded", info: await load(request.files, request.runtimeUrl) });
    case "perplexity":
      return post({ id, type: "number", value: (await perplexity(model!, [request.tokens])).perplexity });
    case "generate":
      return generateTokens(id, request.prompt, request.maxNewTokens);
  }
}

async function load(files: ModelFiles, runtimeUrl: string): Promise<LoadedInfo> {
  const provider = webProvider(ort, { wasmPaths: runtimeUrl });
  const bytesOf = async (path: string) => new Uint8Array(await files.get(path)!.arrayBuffer());
  const bytes = await bytesOf("onnx/model.onnx");
  const data = [...files.keys()].filter((path) => path.startsWith("onnx/model.onnx_data"));
  const externalData = await Promise.all(
    data.map(async (path) => ({ path: path.slice("onnx/".length), data: await bytesOf(path) })),
  );
  model = createCausalLM(await provider.createSession({ bytes, externalData }));
  return {
    provider: "WebAssembly",
    reason: self.crossOriginIsolated ? "several threads" : "one thread, since the page is not isolated",
    cacheBytesPerToken: cacheBytesPerToken(model.cacheLayout),
  };
}

async function generateTokens(id: number, prompt: readonly number[], maxNewTokens: number): Promise<void> {
  for await (const token of generate(model!, prompt, { maxNewTokens })) {
    post({ id, type: "token", token });
    // A turn of the event loop, so that a request to stop arrives.
    await new Promise((resolve) => setTimeout(resolve));
    if (stopped.delete(id)) break;
  }
  post({ id, type: "end" });
}
