import { RuntimeError } from "@kvfold/runtime";
import * as ort from "onnxruntime-web";
import { describe, expect, it } from "vitest";
import { buildTinyDecoder, mixed } from "../../runtime/test/tiny-decoder.js";
import { buildLinearModel } from "../../runtime-node/test/linear-model.js";
import { readOnnxOutline } from "./onnx-outline.js";

/** A length-delimited field of protobuf; numbers below 16, contents below 2^14 bytes. */
const field = (number: number, ...parts: readonly (Uint8Array | string)[]): Uint8Array => {
  const bytes = parts.flatMap((part) => [
    ...(typeof part === "string" ? new TextEncoder().encode(part) : part),
  ]);
  return Uint8Array.of(number * 8 + 2, 0x80 | (bytes.length % 128), bytes.length >> 7, ...bytes);
};

const externalTensor = (location: string, offset: number, length: number): Uint8Array =>
  Uint8Array.of(
    ...[
      ["location", location],
      ["offset", String(offset)],
      ["length", String(length)],
    ].flatMap(([key, value]) => [...field(13, field(1, key!), field(2, value!))]),
  );

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
