import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { externalTensor, field } from "../test/external-data.js";
import { modelFiles } from "./model-files.js";
import { readModelSource } from "./read-model-source.js";

const folder = "https://site.example/models/";
const url = `${folder}model.onnx?token=SECRET`;
let requests: string[];

/** Serves a model whose weights lie at `location`, and four bytes at every other address. */
function serve(location: string): void {
  const model = field(7, field(5, externalTensor(location, 0, 4)));
  vi.stubGlobal("fetch", async (address: string) => {
    requests.push(address);
    return new Response(address === url ? (model as Uint8Array<ArrayBuffer>) : new Uint8Array(4));
  });
}

const read = () => readModelSource({ url }, { storage: "none" });

beforeEach(() => {
  requests = [];
});
afterEach(() => vi.unstubAllGlobals());

describe("readModelSource of an address", () => {
  it.each([
    ["weights.bin", "weights.bin"],
    ["sub/weights.bin", "sub/weights.bin"],
    ["a#b?c", "a%23b%3Fc"],
    ["%2e%2e/x", "%252e%252e/x"],
    ["...", "..."],
  ])("finds %s in the model's folder, and does not tell it the query", async (location, path) => {
    serve(location);
    const { externalData } = await read();
    expect(externalData?.map(({ data }) => data.byteLength)).toEqual([4]);
    expect(requests).toEqual([url, `${folder}${path}`]);
  });

  it.each([
    "//evil.example/w.bin",
    "https://evil.example/w.bin",
    "../../x",
    "/x",
    "..\\x",
    "a/../../x",
    "..",
  ])("asks nobody for weights at %s", async (location) => {
    serve(location);
    await expect(read()).rejects.toMatchObject({ code: "model-unreadable" });
    expect(requests).toEqual([url]);
  });
});

describe("modelFiles", () => {
  it.each([
    [url, "../x"],
    [url, "/x"],
    [url, "//evil.example/x"],
    ["blob:https://site.example/0f5a", "weights.bin"],
    ["data:application/octet-stream,", "weights.bin"],
  ])("has for %s no address of %s", (address, name) => {
    const files = modelFiles({ url: address });
    expect(() => files.label(name)).toThrow(/in the folder of .*, found an address outside of it/);
  });
});

it("takes the standard graph of a folder with graphs of all kinds", () => {
  const kinds = ["", "_delta", "_policy", "_policy_int8", "_policy_int4"];
  const files = kinds.map((kind) => new File([], `model${kind}.onnx`));
  expect(modelFiles({ files }).model).toBe("model.onnx");
});
