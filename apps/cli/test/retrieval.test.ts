import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parsePolicies } from "@kvfold/policies";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { evaluatePolicies } from "../src/jobs/evaluate-policies.js";
import { type Progress, quietContext } from "../src/jobs/job.js";
import { probeRetrieval } from "../src/jobs/probe-retrieval.js";
import { findModels } from "../src/models/find-model.js";
import { withModels } from "../src/models/open-model.js";
import { renderContinuations } from "../src/render/continuations.js";
import { renderRetrieval } from "../src/render/retrieval.js";
import { tokenIdFile } from "../src/tokens/read-tokens.js";
import { groupItems, limitItems } from "../src/tokens/retrieval-groups.js";
import { readRetrievalItems } from "../src/tokens/retrieval-items.js";
import { splitPrompt } from "../src/tokens/split-prompt.js";
import { coloursFor } from "../src/ui/terminal.js";
import { failureOf, ROPE_MODEL, temporaryFolder, VALIDATION_TOKENS } from "./support.js";

async function jsonLines(...lines: readonly unknown[]): Promise<string> {
  const path = join(await temporaryFolder(), "items.jsonl");
  const texts = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
  await writeFile(path, texts.join("\n"));
  return path;
}

const item = { task: "passkey", form: "bare", length: 512, depth: 0.5, ids: [0, 5], answer_ids: [7] };

describe("readRetrievalItems", () => {
  it("reads a line for each item, and passes over empty lines and other fields", async () => {
    const path = await jsonLines(item, "", { ...item, task: "words", ids: [1] }, "");
    expect(await readRetrievalItems(path)).toEqual([
      { line: 1, task: "passkey", length: 512, prompt: [0, 5], answer: [7] },
      { line: 3, task: "words", length: 512, prompt: [1], answer: [7] },
    ]);
  });

  it.each([
    ['{"task": "passkey",', "is not JSON"],
    ["[1, 2]", "expected a JSON object, found [1, 2]"],
    ["null", "expected a JSON object, found null"],
    [{ ...item, task: 3 }, "expected task, a name, found 3"],
    [{ ...item, length: "512" }, 'expected length, a count of tokens, found "512"'],
    [{ ...item, ids: undefined }, "expected ids, a list of at least one token id, found none"],
    [{ ...item, ids: [] }, "expected ids, a list of at least one token id, found []"],
    [{ ...item, ids: [1, -2] }, "expected ids of token ids, whole numbers from 0, found -2"],
    [{ ...item, answer_ids: "7" }, 'expected answer_ids, a list of at least one token id, found "7"'],
    [{ ...item, answer_ids: [1.5] }, "expected answer_ids of token ids, whole numbers from 0, found 1.5"],
    [{ ...item, answer_ids: [null] }, "expected answer_ids of token ids, whole numbers from 0, found null"],
  ])("names file and line of %j", async (line, expected) => {
    const path = await jsonLines(item, line);
    const { code, message } = await failureOf(readRetrievalItems(path));
    expect(code).toBe("malformed-file");
    expect(message).toContain(`${path}, line 2`);
    expect(message).toContain(expected);
    expect(message.length).toBeLessThan(path.length + 200);
  });

  it("names a file that is missing, empty or a folder", async () => {
    const folder = await temporaryFolder();
    const missing = await failureOf(readRetrievalItems(join(folder, "none.jsonl")));
    expect(missing).toMatchObject({ code: "unreadable-file" });
    expect(missing.message).toContain("none.jsonl: no such file");
    expect((await failureOf(readRetrievalItems(folder))).message).toContain("is a folder");
    const empty = await failureOf(readRetrievalItems(await jsonLines("")));
    expect(empty).toMatchObject({ code: "malformed-file" });
    expect(empty.message).toContain("holds no items");
  });
});

describe("groups of items", () => {
  const items = [
    { id: 0, task: "words", length: 2048 },
    { id: 1, task: "words", length: 512 },
    { id: 2, task: "keys", length: 512 },
    { id: 3, task: "words", length: 512 },
    { id: 4, task: "words", length: 512 },
    { id: 5, task: "words", length: 512 },
  ];

  it("keep the order of tasks, and go from short to long", () => {
    const ids = groupItems(items).map((group) => [
      group.task,
      group.length,
      group.items.map(({ id }) => id).join(),
    ]);
    expect(ids).toEqual([
      ["words", 512, "1,3,4,5"],
      ["words", 2048, "0"],
      ["keys", 512, "2"],
    ]);
  });

  it("are cut to the same number each, spread over the group", () => {
    expect(limitItems(items, 2).map(({ id }) => id)).toEqual([0, 1, 2, 4]);
    expect(limitItems(items, 9)).toEqual(items);
  });
});

describe("splitPrompt", () => {
  const decode = ([id]: number[]) => [" a", "b\n", "\n", "\n c"][id!]!;

  it("ends the context after the last token that ends a line", () => {
    const split = { context: [0, 1, 0, 2], question: [0, 3] };
    expect(splitPrompt([0, 1, 0, 2, 0, 3], decode)).toEqual(split);
    expect(splitPrompt([0, 1], decode)).toEqual({ context: [0, 1], question: [] });
  });

  it("finds no question in a single line", () => {
    expect(splitPrompt([0, 3, 0], decode)).toEqual({ context: [0, 3, 0], question: [] });
  });
});

describe("probeRetrieval", () => {
  it("counts exact answers by task and length", async () => {
    const text = await validationTokens(400);
    const passage = (from: number, to: number, length: number) => ({
      task: "text",
      length,
      ids: text.slice(0, from),
      answer_ids: text.slice(from, to),
    });
    // The model's first choices are right for the tokens 100 to 102 and 354 to 358 of this text, and wrong for 99.
    const file = await jsonLines(passage(354, 359, 350), passage(100, 103, 100), passage(99, 103, 100));
    const progress: number[] = [];
    const onProgress = ({ done, total }: Progress) => void progress.push(done / total);
    const result = await probeRetrieval({ models: [ROPE_MODEL], file }, { ...quietContext, onProgress });
    expect(result.models).toEqual([
      {
        path: ROPE_MODEL,
        groups: [
          { task: "text", length: 100, items: 2, teacherForced: 1, greedy: 1, accuracy: 6 / 7 },
          { task: "text", length: 350, items: 1, teacherForced: 1, greedy: 1, accuracy: 1 },
        ],
        all: { items: 3, teacherForced: 2, greedy: 2, accuracy: 11 / 12 },
        cacheBytesPerToken: 12_288,
      },
    ]);
    expect(progress.at(-1)).toBe(1);
    const table = renderRetrieval(result, coloursFor({ isTTY: false })).split("\n");
    expect(table.slice(0, 4).map((line) => line.replace(ROPE_MODEL, "m").split(/ {2,}/))).toEqual([
      ["task", "length", "model", "teacher-forced", "greedy", "tokens"],
      ["text", "100", "m", "1/2", "1/2", "85.7 %"],
      ["text", "350", "m", "1/1", "1/1", "100.0 %"],
      ["all", "m", "2/3", "2/3", "91.7 %"],
    ]);
  });

  it("counts right answers under each list of policies, and what they leave", async () => {
    const text = await validationTokens(103);
    const file = await jsonLines({
      task: "text",
      length: 100,
      ids: text.slice(0, 100),
      answer_ids: text.slice(100),
    });
    const cache = ["keydiff:0", "random:0.95"];
    const options = { models: [ROPE_MODEL], file, cache, question: "known" as const };
    const { models } = await probeRetrieval(options, quietContext);
    expect(models).toEqual([
      probed("keydiff:0", 1, { items: 1, teacherForced: 1, accuracy: 1 }),
      probed("random:0.95", 0.05, { items: 1, teacherForced: 0, accuracy: 1 / 3 }),
    ]);
  });

  it("finds lines that do not fit a model before anything is run", async () => {
    const failure = async (line: unknown) =>
      failureOf(probeRetrieval({ models: [ROPE_MODEL], file: await jsonLines(item, line) }, quietContext));
    const stranger = await failure({ ...item, answer_ids: [3, 4096] });
    expect(stranger.code).toBe("malformed-file");
    expect(stranger.message).toMatch(/line 2: token 4096 is beyond the 4096 of .*prose-6m/);
    const long = await failure({ ...item, ids: Array(1024).fill(1) });
    expect(long.code).toBe("insufficient-text");
    expect(long.message).toMatch(/line 2: prompt and answer have 1025 tokens, more than the context/);
  });
});

describe("evaluatePolicies", () => {
  it("predicts the second half of a window after the whole first half, and after what policies leave", async () => {
    const files = [tokenIdFile(VALIDATION_TOKENS)];
    const options = {
      models: [ROPE_MODEL],
      files,
      windows: 1,
      window: 600,
      cache: ["keydiff:0", "random:0.75"],
    };
    const result = await evaluatePolicies(options, quietContext);
    const [whole, kept, dropped] = result.continuations;
    expect(whole).toMatchObject({
      path: ROPE_MODEL,
      held: 1,
      ratio: 1,
      tokens: 301,
      cacheBytesPerToken: 12_288,
    });
    // One run over the whole window, without policies or halves. Both sum 301 losses of float32 logits.
    const found = await findModels([ROPE_MODEL], undefined, quietContext);
    const ids = await validationTokens(601);
    const opening = { provider: nodeProvider() };
    const nll = await withModels(found, opening, quietContext, async ([opened]) => {
      const logits = await opened!.lm.forward(ids);
      const losses = ids.slice(300).map((id, index) => {
        const row = logits.data.subarray((299 + index) * logits.columns, (300 + index) * logits.columns);
        return Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)) - row[id]!;
      });
      return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    });
    expect(Math.abs(whole!.nll - nll)).toBeLessThan(1e-5);
    expect(kept).toEqual({ ...whole, cache: "keydiff:0" });
    expect(dropped).toMatchObject({ cache: "random:0.75", held: 0.25 });
    expect(dropped!.ratio).toBeGreaterThan(1.01);
    const table = renderContinuations(result, coloursFor({ isTTY: false })).split("\n");
    expect(table[0]!.split(/ {2,}/)).toEqual([
      "model",
      "cache",
      "held",
      "nll",
      "perplexity",
      "ratio",
      "tokens",
    ]);
    expect(table[3]).toMatch(/random:0.75 +25.0 % /);
  });
});

describe("a conversation beyond the context", () => {
  const [TURN, KEPT, TURNS] = [52, 128, 20];

  it("is predicted after sinks and the newest tokens as after a window that is read anew", async () => {
    const models = await findModels([ROPE_MODEL], undefined, quietContext);
    const ids = await validationTokens(TURN * TURNS);
    const opening = { provider: nodeProvider(), cache: "policies" as const, positions: TURN * TURNS };
    await withModels(models, opening, quietContext, async ([opened]) => {
      const { lm } = opened!;
      const state = lm.createState();
      let found = Number.NaN;
      for (let start = 0; start < ids.length; start += TURN) {
        const turn = ids.slice(start, start + TURN);
        found = perplexityOf((await state.forward(turn)).data, turn);
        state.compress(parsePolicies(`streaming:${KEPT}t`));
      }
      const { columns, data } = await lm.forward(ids.slice(-TURN - KEPT));
      const expected = perplexityOf(data.subarray(KEPT * columns), ids.slice(-TURN));
      expect(Math.abs(found / expected - 1)).toBeLessThan(0.1);
      expect(state.length).toBe(TURN * TURNS);
      expect(new Set(state.heldTokens.flat())).toEqual(new Set([KEPT]));
    });
  });
});

/** Of all but the first of some tokens, by logits of each. */
function perplexityOf(logits: Float32Array, ids: readonly number[]): number {
  const columns = 4096;
  const losses = ids.slice(1).map((id, index) => {
    const row = logits.subarray(index * columns, (index + 1) * columns);
    return Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)) - row[id]!;
  });
  return Math.exp(losses.reduce((sum, loss) => sum + loss, 0) / losses.length);
}

/** What is found under policies of one group. */
const probed = (cache: string, held: number, counts: object) => ({
  path: ROPE_MODEL,
  cache,
  held,
  groups: [{ task: "text", length: 100, ...counts }],
  all: counts,
  cacheBytesPerToken: 12_288,
});

async function validationTokens(count: number): Promise<readonly number[]> {
  const { buffer, byteOffset } = await readFile(VALIDATION_TOKENS);
  return [...new Uint16Array(buffer, byteOffset, count)];
}
