/** The options of `kvfold generate` for several prompts and for kept conversations. */
import { describe, expect, it } from "vitest";
import type { CommandHost } from "../src/commands/host.js";
import { createProgram } from "../src/program.js";
import { coloursFor } from "../src/ui/terminal.js";
import { failureOf } from "./support.js";

/** Runs a command line with a host that answers every job with `result`. */
async function run(line: string, result: unknown = {}) {
  const calls: { readonly name: string; readonly options: unknown }[] = [];
  const output: string[] = [];
  const host = {
    colours: coloursFor({ isTTY: false }),
    write: (text: string) => void output.push(text),
    run: async (name: string, options: unknown) => {
      calls.push({ name, options });
      return result;
    },
  } as unknown as CommandHost;
  await createProgram(host).parseAsync(line.split(" "), { from: "user" });
  return { calls, output: output.join("") };
}

describe("kvfold generate --prompts", () => {
  it("prints a block for each prompt, or a line of JSON", async () => {
    const one = { text: " b", promptTokens: 2, tokens: 1, stoppedBy: "max-new-tokens" };
    const result = { device: "cpu", texts: [one, { ...one, text: " c" }], tokensPerSecond: 9 };
    const line = "generate m --prompts p.txt --seed 3";
    const { calls, output } = await run(line, result);
    expect(calls).toMatchObject([{ name: "generateBatch", options: { prompts: "p.txt", seed: 3 } }]);
    expect(output).toBe("prompt 1\n b\n\nprompt 2\n c\n");
    const lines = (await run(`${line} --json`, result)).output.trimEnd().split("\n");
    expect(lines.map((text) => JSON.parse(text) as unknown)).toEqual([
      { prompt: 1, device: "cpu", ...one },
      { prompt: 2, device: "cpu", ...one, text: " c" },
    ]);
  });
});

describe("kvfold generate --save-cache", () => {
  it("replaces another file only with --force", async () => {
    const line = "generate m --prompt p --load-cache a --save-cache b --json";
    const options = { loadCache: "a", saveCache: "b", existing: "refuse" };
    expect((await run(line)).calls).toMatchObject([{ name: "generate", options }]);
    const forced = { ...options, existing: "replace" };
    expect((await run(`${line} --force`)).calls).toMatchObject([{ options: forced }]);
  });
});

it.each([
  ["generate model --prompts p --prompt x", "--prompt is for one prompt: leave out --prompts"],
  ["generate model --prompts p --save-cache c", "--save-cache is for one prompt"],
  ["generate model --prompts p --load-cache c", "--load-cache is for one prompt"],
  ["generate model --prompt x --force", "--force is about a kept conversation: add --save-cache"],
  ["generate model --prompt x --chat --system s --load-cache c", "--system comes before a conversation"],
])("kvfold %s is refused", async (line, hint) => {
  const error = await failureOf(run(line));
  expect(error.code).toBe("usage");
  expect(error.message).toContain(hint);
});
