import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { byteCount, tokenCount } from "../src/commands/options.js";
import { fitModel } from "../src/jobs/fit.js";
import { quietContext } from "../src/jobs/job.js";
import { renderFit } from "../src/render/fit.js";
import { coloursFor } from "../src/ui/terminal.js";
import { startHub } from "./hub-server.js";
import { failureOf, ROPE_MODEL, temporaryFolder } from "./support.js";

describe("fitModel", () => {
  it("shows as a table what fits", async () => {
    const limit = { memory: 64 * 2 ** 20 };
    const result = await fitModel({ model: ROPE_MODEL, limit, dtypes: ["fp32"] }, quietContext);
    const text = renderFit({ ...result, model: "prose-6m" }, coloursFor({ isTTY: false }));
    // 64 MiB less the weights, by 12 KiB a token: 6 layers x 2 x 8 heads of 32 in float32.
    const whole = Math.floor((64 * 2 ** 20 - result.rows[0]!.weightBytes) / 12_288);
    expect(text).toContain("Tokens of context that fit into 64.0 MiB beside the weights of prose-6m");
    expect(text).toMatch(new RegExp(`^1 +${whole.toLocaleString("en-US")} \\* +`, "m"));
    expect(text).toContain("*: more than the model's own context of 1,024 tokens.");
    expect(text).toContain("An int8 cache is that of fold --cache-bits 8");
  });

  it("reads no more than config.json, here and on a Hub", async () => {
    const folder = await temporaryFolder();
    const config = JSON.stringify({
      model_type: "llama",
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      vocab_size: 100,
    });
    await writeFile(join(folder, "config.json"), config);
    const limit = { context: 4096 };
    const here = await fitModel({ model: folder, limit }, quietContext);
    const files = new Map([
      ["config.json", Buffer.from(config)],
      ["model.safetensors", Buffer.alloc(5000)],
    ]);
    const hub = await startHub(files);
    try {
      const settings = { hubUrl: hub.url, cacheFolder: join(folder, "cache") };
      const there = await fitModel({ model: "someone/tiny-model", hub: settings, limit }, quietContext);
      expect(there.rows).toEqual(here.rows);
      expect(hub.log.filter((entry) => entry.startsWith("model.safetensors"))).toEqual([]);
    } finally {
      await hub.close();
    }
  });

  it("refuses folders without a config, and those that are folded already", async () => {
    const folder = await temporaryFolder();
    const run = () => failureOf(fitModel({ model: folder, limit: { memory: 1 } }, quietContext));
    expect(await run()).toMatchObject({ code: "unreadable-file" });
    await writeFile(join(folder, "kvfold.json"), "{}");
    expect(await run()).toMatchObject({ code: "unsupported-model" });
  });
});

it.each([
  ["2GiB", 2 ** 31],
  ["2G", 2 ** 31],
  ["1.5 MB", 1_500_000],
  ["512kib", 2 ** 19],
  ["4096", 4096],
  ["100B", 100],
])("reads the size %s", (text, bytes) => {
  expect(byteCount(text)).toBe(bytes);
});

it("reads tokens, and refuses what is neither a size nor a number of tokens", () => {
  expect([tokenCount("32k"), tokenCount("1m"), tokenCount("7")]).toEqual([32_768, 2 ** 20, 7]);
  for (const text of ["", "0", "-1", "x", "2GiBB", "1e3", "99999999999999TiB"]) {
    expect(() => byteCount(text)).toThrow("Expected a size");
    expect(() => tokenCount(text)).toThrow("Expected a number of tokens");
  }
});
