import { nodeProvider } from "@kvfold/runtime-node";
import * as ort from "onnxruntime-web";
import { describe, expect, it } from "vitest";
import { modelSource } from "../../converter/test/support/fold-in-memory.js";
import { webProvider } from "../src/index.js";
import { continueTokens } from "./continue-tokens.js";
import { FOUR_BIT_FILE, foldToFourBits, fourBitModels } from "./four-bit-models.js";

const NEW_TOKENS = 24;

// In Node, onnxruntime-web runs the WebAssembly that browsers run.
describe("a folded model in four bits on WebAssembly", () => {
  it.each(fourBitModels)("generates what it does in Node ($name)", async (model) => {
    const source = modelSource(await foldToFourBits(model), FOUR_BIT_FILE);
    const input = { source, prompt: model.prompt, count: NEW_TOKENS };
    const expected = await continueTokens(nodeProvider(), input);
    expect(expected).toHaveLength(NEW_TOKENS);
    expect(await continueTokens(webProvider(ort), input)).toEqual(expected);
  });
});
