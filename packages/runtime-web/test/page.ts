import { createCausalLM, generate, perplexity, RuntimeError, Tensor } from "@kvfold/runtime";
import * as ort from "onnxruntime-web/wasm";
import { fetchModel, webProvider } from "../src/index.js";

/** What the test calls in the page. Arguments and results cross as JSON. */
export interface PageApi {
  readonly isolated: boolean;
  generateTokens(url: string, prompt: readonly number[], count: number): Promise<readonly number[]>;
  measurePerplexity(url: string, window: readonly number[]): Promise<number>;
  multiply(url: string, externalData: readonly string[], x: readonly number[]): Promise<readonly number[]>;
  failureOf(url: string): Promise<readonly [code: string, message: string]>;
}

const provider = webProvider(ort, { wasmPaths: "/ort/" });

const openModel = async (url: string) =>
  createCausalLM(await provider.createSession({ path: url }, { threads: 2 }));

const api: PageApi = {
  isolated: globalThis.crossOriginIsolated,
  async generateTokens(url, prompt, count) {
    const tokens: number[] = [];
    for await (const token of generate(await openModel(url), prompt, { maxNewTokens: count }))
      tokens.push(token);
    return tokens;
  },
  async measurePerplexity(url, window) {
    return (await perplexity(await openModel(url), [window])).nll;
  },
  async multiply(url, externalData, x) {
    const session = await provider.createSession(await fetchModel(url, { externalData }));
    const feeds = { x: new Tensor("float32", Float32Array.from(x), [x.length / 3, 3]) };
    const { y } = await session.run(feeds, { y: new Tensor("float32", new Float32Array(4), [2, 2]) });
    await session.dispose();
    return [...(y!.data as Float32Array)];
  },
  async failureOf(url) {
    const failure: unknown = await fetchModel(url)
      .then((source) => provider.createSession(source))
      .catch((error: unknown) => error);
    return RuntimeError.isInstance(failure) ? [failure.code, failure.message] : ["none", String(failure)];
  },
};

Object.assign(globalThis, { kvfold: api });
