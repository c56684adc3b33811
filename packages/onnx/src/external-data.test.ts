import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createExternalDataWriter, createGraphBuilder, float32Value, OnnxError, readModel } from "./index.js";
import { fileSink } from "./node.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvfold-onnx-"));
});
afterEach(() => rm(folder, { recursive: true }));

const open = (name: string) => fileSink(join(folder, name));
const filled = (length: number, value: number) =>
  float32Value([length], new Float32Array(length).fill(value));

describe("createExternalDataWriter", () => {
  it("streams weights that ONNX Runtime finds beside the model", async () => {
    const weights = createExternalDataWriter({ fileName: "model.onnx_data", open });
    const graph = createGraphBuilder({ graphName: "sum", opsets: { "": 18 }, weights });
    const first = graph.weight("first", filled(100, 2));
    const second = graph.weight("second", filled(100, 3));
    graph.nodeWithOutputs("Add", [first, second], ["y"], { name: "add" });
    graph.output("y", "float32", [100]);
    expect(await weights.close()).toEqual(["model.onnx_data"]);
    await writeFile(join(folder, "model.onnx"), graph.toBytes());

    const session = await ort.InferenceSession.create(join(folder, "model.onnx"));
    const { y } = await session.run({});
    expect([...(y!.data as Float32Array)]).toEqual(Array(100).fill(5));
  });

  it("aligns tensors to pages and keeps small ones in the model", async () => {
    const weights = createExternalDataWriter({ fileName: "data", open });
    expect(weights.store("small", filled(64, 1))).toBeUndefined();
    expect(weights.store("a", filled(65, 1))).toEqual({ path: "data", offset: 0, byteLength: 260 });
    expect(weights.store("b", filled(65, 1))).toEqual({ path: "data", offset: 4096, byteLength: 260 });
    await weights.close();
    expect((await stat(join(folder, "data"))).size).toBe(4096 + 260);
  });

  it("starts another file before one grows too large for a browser", async () => {
    const weights = createExternalDataWriter({ fileName: "data", open, maxFileBytes: 5000 });
    const paths = [1, 2, 3].map((value) => weights.store("t", filled(1000, value))?.path);
    expect(paths).toEqual(["data", "data_1", "data_2"]);
    expect(await weights.close()).toEqual(["data", "data_1", "data_2"]);
    const bytes = await readFile(join(folder, "data_2"));
    expect(new Float32Array(bytes.buffer, bytes.byteOffset, 1)[0]).toBe(3);
  });

  it("reports a full disk and writes nothing further", async () => {
    let writes = 0;
    const full = async () => ({
      write: async () => {
        writes++;
        throw new Error("ENOSPC: no space left on device");
      },
      close: async () => {},
    });
    const weights = createExternalDataWriter({ fileName: "data", open: full });
    weights.store("a", filled(100, 1));
    weights.store("b", filled(100, 1));
    await expect(weights.drain()).rejects.toThrow(/data: weights could not be written \(ENOSPC/);
    await expect(weights.close()).rejects.toSatisfy((error) => OnnxError.isInstance(error));
    expect(writes).toBe(1);
  });

  it("never overwrites a file", async () => {
    await writeFile(join(folder, "data"), "precious");
    const weights = createExternalDataWriter({ fileName: "data", open });
    weights.store("a", filled(100, 1));
    await expect(weights.close()).rejects.toThrow(/EEXIST/);
    expect(await readFile(join(folder, "data"), "utf8")).toBe("precious");
    expect(await readdir(folder)).toEqual(["data"]);
  });
});

describe("readModel", () => {
  it("reads where external weights lie", async () => {
    const weights = createExternalDataWriter({ fileName: "data", open });
    const graph = createGraphBuilder({ graphName: "test", opsets: { "": 18 }, weights });
    graph.weight("w", filled(100, 1));
    await weights.close();
    const view = readModel(graph.toBytes());
    expect(view.initializers.get("w")?.location).toEqual({ path: "data", offset: 0, byteLength: 400 });
  });
});
