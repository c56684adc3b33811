import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from "onnx-buf";
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

/** A model whose float32 tensor `w` of three numbers lies where `entries` say. */
function externalModel(entries: Readonly<Record<string, string>>): Uint8Array {
  const externalData = Object.entries(entries).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  const dataLocation = TensorProto_DataLocation.EXTERNAL;
  const w = create(TensorProtoSchema, { name: "w", dataType: 1, dims: [3n], dataLocation, externalData });
  const graph = create(GraphProtoSchema, { initializer: [w] });
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph }));
}

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

  it("takes the length from the tensor where the location has none", () => {
    const view = readModel(externalModel({ location: "sub/data", offset: "8" }));
    expect(view.initializers.get("w")?.location).toEqual({ path: "sub/data", offset: 8, byteLength: 12 });
  });

  it.each([
    "",
    ".",
    "..",
    "../../x",
    "a/../x",
    "a//x",
    "./x",
    "a/",
    "/etc/passwd",
    "//evil.example/w.bin",
    "https://evil.example/w.bin",
    "file:x",
    "C:x",
    "..\\x",
    "a\\x",
    "x\0",
  ])("refuses the location %j, as the writer does", (location) => {
    const message = /w\W* expected the location of external data to be a path inside the model's folder/;
    expect(() => readModel(externalModel({ location }))).toThrow(message);
    const weights = { store: () => ({ path: location, offset: 0, byteLength: 12 }) };
    const graph = createGraphBuilder({ graphName: "test", opsets: { "": 18 }, weights });
    expect(() => graph.weight("w", filled(3, 1))).toThrow(message);
  });

  it.each<[Readonly<Record<string, string>>, RegExp]>([
    [{}, /expected external data to name a file, found none/],
    [
      { location: "x", offset: "-8" },
      /expected the offset of external data to be a number of bytes, found "-8"/,
    ],
    [{ location: "x", offset: "NaN" }, /offset .* found "NaN"/],
    [{ location: "x", offset: "1e3" }, /offset .* found "1e3"/],
    [{ location: "x", offset: "9007199254740992" }, /offset/],
    [
      { location: "x", length: "all" },
      /expected the length of external data to be a number of bytes, found "all"/,
    ],
    [{ location: "x", length: "16" }, /expected external data of 12 bytes .* found 16/],
  ])("refuses the external data %j", (entries, message) => {
    const read = () => readModel(externalModel(entries));
    expect(read).toThrow(message);
    expect(read).toThrow(expect.objectContaining({ code: "malformed-model" }));
  });

  it("shows the beginning of a long location alone", () => {
    const read = () => readModel(externalModel({ location: "/".repeat(300_000) }));
    expect(read).toThrow(/found "\/{80}…"$/);
  });
});
