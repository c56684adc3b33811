import * as ort from "onnxruntime-web";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { buildTinyDecoder, groupQuery } from "../../runtime/test/tiny-decoder.js";
import type { LoadProgress } from "./index.js";
import type { OrtWeb } from "./ort-web.js";
import type { GeneratedToken } from "./protocol.js";
import { ServedModel } from "./served-model.js";

const file = new File([buildTinyDecoder(groupQuery) as Uint8Array<ArrayBuffer>], "model.onnx");
const input = { source: { files: [file] }, storage: "keep", maxPositions: 128 } as const;
const { signal } = new AbortController();

const adapter = {
  info: { vendor: "acme", architecture: "one", description: "", subgroupMinSize: 32 },
  features: new Set(["subgroups", "depth-clip-control"]),
  limits: { maxBufferSize: 2 ** 28 },
  requestDevice: vi.fn<(descriptor: object) => Promise<object>>(),
};
const destroy = vi.fn<() => void>();

const serve = (importOrt: () => Promise<OrtWeb> = async () => ort) =>
  new ServedModel({ importOrt, wasmPaths: undefined, readPolicies: undefined, onLost: () => {} });

describe("ServedModel", () => {
  beforeEach(() => {
    adapter.requestDevice.mockReset().mockResolvedValue({
      features: new Set(),
      lost: new Promise(() => {}),
      addEventListener() {},
      destroy,
    });
    vi.stubGlobal("navigator", { hardwareConcurrency: 2, gpu: { requestAdapter: async () => adapter } });
  });
  afterEach(() => vi.unstubAllGlobals());

  it("runs a model without storage where there is none, and reports how it comes in", async () => {
    const seen: LoadProgress[] = [];
    const model = serve();
    const context = { signal, report: (progress: LoadProgress) => void seen.push(progress) };
    const loaded = await model.load({ ...input, executionProvider: "wasm" }, context);
    expect(loaded).toMatchObject({
      provider: "wasm",
      cacheKind: "growing",
      cacheBytesPerToken: 384,
      vocabularySize: 61,
    });
    const all = { loadedBytes: file.size, totalBytes: file.size };
    expect(seen.slice(-2)).toEqual([
      { stage: "read", file: "model.onnx", ...all },
      { stage: "start", file: "", ...all },
    ]);
    const tokens: number[] = [];
    const sizes: number[] = [];
    const report = ({ token, cacheBytes }: GeneratedToken) => {
      tokens.push(token);
      sizes.push(cacheBytes);
    };
    const call = { prompt: [1, 2, 3], options: { maxNewTokens: 4 }, keep: false };
    expect(await model.generate(call, { signal, report })).toBe("max-new-tokens");
    expect(tokens).toHaveLength(4);
    // The last token drawn is not read.
    expect(sizes).toEqual([3, 4, 5, 6].map((count) => count * 384));
  });

  it("falls back to WebAssembly where WebGPU does not take the model, and gives the GPU back", async () => {
    // The package refuses WebGPU in Node, as a browser's does for a model with operators that it lacks.
    const loaded = await serve().load({ ...input, executionProvider: "auto" }, { signal, report: () => {} });
    expect(loaded.provider).toBe("wasm");
    expect(loaded.reason).toMatch(
      /^WebAssembly, since WebGPU did not take the model \(createSession: .*\); one thread/,
    );
    expect(adapter.requestDevice).toHaveBeenCalledWith({
      requiredFeatures: ["subgroups"],
      requiredLimits: { maxBufferSize: 2 ** 28 },
    });
    expect(destroy).toHaveBeenCalledOnce();
  });

  it("does not fall back from a provider that was asked for", async () => {
    const loading = serve().load({ ...input, executionProvider: "webgpu" }, { signal, report: () => {} });
    await expect(loading).rejects.toMatchObject({ name: "RuntimeError" });
  });

  it.each(["keydiff:0.5", "int8"])("refuses the cache %s on a GPU", async (cache) => {
    const asked = { ...input, executionProvider: "webgpu", cache } as const;
    await expect(serve().load(asked, { signal, report: () => {} })).rejects.toThrow(
      `cache ${cache}: expected the provider wasm or auto, found webgpu: policies act on caches in the memory of the CPU`,
    );
    expect(adapter.requestDevice).not.toHaveBeenCalled();
  });

  it("runs nothing before it is loaded", async () => {
    const generating = serve().generate(
      { prompt: [1], options: {}, keep: false },
      { signal, report: () => {} },
    );
    await expect(generating).rejects.toThrow(/expected a model, found none loaded/);
  });
});
