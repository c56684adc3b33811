import { createCausalLM, generate, type SessionProvider } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import * as ort from "onnxruntime-web";
import { describe, expect, it } from "vitest";
import { type AssetModel, openModel } from "../../converter/test/support/assets.js";
import { type Folded, foldInMemory, modelSource } from "../../converter/test/support/fold-in-memory.js";
import { webProvider } from "../src/index.js";

const PROMPT = [11, 200, 3000, 42, 7, 99];
const NEW_TOKENS = 24;

async function continueTokens(folded: Folded, provider: SessionProvider): Promise<readonly number[]> {
  const session = await provider.createSession(modelSource(folded, "model_q4.onnx"));
  try {
    const tokens: number[] = [];
    for await (const token of generate(createCausalLM(session), PROMPT, { maxNewTokens: NEW_TOKENS }))
      tokens.push(token);
    return tokens;
  } finally {
    await session.dispose();
  }
}

// In Node, onnxruntime-web runs the WebAssembly that browsers run.
describe("a folded model in four bits on WebAssembly", () => {
  it.each<AssetModel>(["prose-6m", "prose-bloom-6m"])("generates what it does in Node (%s)", async (name) => {
    const folded = await foldInMemory(await openModel(name), {
      keep: "1/2",
      method: "svd-w",
      dtypes: ["q4"],
    });
    const expected = await continueTokens(folded, nodeProvider());
    expect(expected).toHaveLength(NEW_TOKENS);
    expect(await continueTokens(folded, webProvider(ort))).toEqual(expected);
  });
});
