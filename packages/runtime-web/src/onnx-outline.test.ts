import { RuntimeError } from "@kvfold/runtime";
import * as ort from "onnxruntime-web";
import { describe, expect, it } from "vitest";
import { buildTinyDecoder, mixed } from "../../runtime/test/tiny-decoder.js";
import { buildLinearModel } from "../../runtime-node/test/linear-model.js";
import { externalTensor, field } from "../test/external-data.js";
import { readOnnxOutline } from "./onnx-outline.js";

describe("readOnnxOutline", () => {
  it("names the outputs that ONNX Runtime finds", async () => {
    const bytes = buildTinyDecoder(mixed);
    const session = await ort.InferenceSession.create(bytes);
    expect(readOnnxOutline(bytes, "model.onnx").outputs).toEqual(session.outputNames);
    await session.release();
  });

  it("finds external data and how far it is used", () => {
    const { bytes, weights } = buildLinearModel();
    expect(readOnnxOutline(bytes, "model.onnx").externalBytes).toEqual(
      new Map([["model.onnx_data", weights.length]]),
    );
  });

  it("finds it in constants and in the bodies of branches, and takes the furthest end of a file", () => {
    const constant = field(1, field(5, field(5, externalTensor("a", 16, 8))));
    const branch = field(1, field(5, field(6, field(5, externalTensor("b", 0, 4)))));
    const graph = field(7, field(5, externalTensor("a", 0, 16)), constant, branch);
    expect(readOnnxOutline(graph, "model.onnx").externalBytes).toEqual(
      new Map([
        ["a", 24],
        ["b", 4],
      ]),
    );
  });

  it.each([
    "",
    ".",
    "../../x",
    "a/../x",
    "a//x",
    "./x",
    "/etc/x",
    "//evil.example/w.bin",
    "https://evil.example/w.bin",
    "blob:x",
    "..\\x",
    "\\\\evil.example\\w",
    "x\n",
  ])("refuses weights at %j", (location) => {
    const model = field(7, field(5, externalTensor(location, 0, 4)));
    expect(() => readOnnxOutline(model, "model.onnx")).toThrow(
      /^expected the weights of model\.onnx in files of its own folder, found the location "/,
    );
  });

  it.each([
    [-8, 4],
    [0.5, 4],
    [Number.NaN, 4],
    [0, 2 ** 60],
  ])("refuses weights at byte %d, %d long", (offset, length) => {
    const model = field(7, field(5, externalTensor("w", offset, length)));
    expect(() => readOnnxOutline(model, "model.onnx")).toThrow(/that are none \(no number of bytes/);
  });

  it.each([
    [
      "a Git LFS pointer",
      "version https://git-lfs.github.com/spec/v1\noid",
      /found a Git LFS pointer: run git lfs/,
    ],
    ["nothing", "", /found 0 bytes that are none \(no graph in it\)/],
    ["a web page", "<!doctype html>", /found 15 bytes that are none \(no protobuf\): check the address/],
  ])("refuses %s", (_, text, message) => {
    expect(() => readOnnxOutline(new TextEncoder().encode(text), "model.onnx")).toThrow(message);
  });

  it("refuses every beginning of a model, or finds in it what is there, but never fails otherwise", () => {
    const { bytes } = buildLinearModel();
    const outcome = (length: number): string => {
      try {
        readOnnxOutline(bytes.subarray(0, length), "model.onnx");
        return "read";
      } catch (error) {
        return RuntimeError.isInstance(error) ? error.code : String(error);
      }
    };
    const outcomes = new Set(Array.from(bytes, (_, length) => outcome(length)));
    // What follows the graph may be missing unseen.
    expect([...outcomes].toSorted()).toEqual(["model-unreadable", "read"]);
  });
});
