import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PassThrough } from "node:stream";
import { CommanderError } from "commander";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { CliError } from "../src/cli-error.js";
import type { CommandHost } from "../src/commands/host.js";
import { createProgram } from "../src/program.js";
import { printError } from "../src/ui/print-error.js";
import { coloursFor } from "../src/ui/terminal.js";
import { JobError } from "../src/worker/run-in-worker.js";
import { failureOf, temporaryFolder } from "./support.js";

/** A host that notes what it is asked for and answers with `result`. */
function recordingHost(result: unknown = {}) {
  const calls: { readonly name: string; readonly options: Record<string, unknown> }[] = [];
  const output: string[] = [];
  const host = {
    colours: coloursFor({ isTTY: false }),
    write: (text: string) => void output.push(text),
    run: async (name: string, options: Record<string, unknown>) => {
      calls.push({ name, options });
      return result;
    },
  } as unknown as CommandHost;
  return { host, calls, output };
}

async function run(...args: readonly string[]) {
  const recording = recordingHost();
  await createProgram(recording.host).parseAsync(args, { from: "user" });
  return recording;
}

describe("kvfold fold", () => {
  it("turns options into a job", async () => {
    const { calls, output } = await run(
      ..."fold model -o out --keep 1/4 --method svd-a --metric loss --heal both --span 8 --calibration a.txt b.u16 --windows 16".split(
        " ",
      ),
      ..."--revision v1 --token hf_me --cache-dir /cache --window 512 --dtype fp32,fp16,q4 --seed 3 --max-positions 2048 --save-moments m --force --json".split(
        " ",
      ),
    );
    expect(calls).toEqual([
      {
        name: "fold",
        options: {
          model: "model",
          hub: { hubUrl: undefined, token: "hf_me", revision: "v1", cacheFolder: resolve("/cache") },
          output: "out",
          keep: "1/4",
          method: "svd-a",
          metric: "loss",
          heal: "both",
          keySpan: 8,
          valueSpan: 8,
          formats: ["onnx"],
          dtypes: ["fp32", "fp16", "q4"],
          seed: 3,
          maxPositions: 2048,
          existing: "replace",
          calibration: {
            files: [
              { path: "a.txt", format: "text" },
              { path: "b.u16", format: "uint16" },
            ],
            windows: 16,
            window: 512,
          },
          moments: undefined,
          saveMoments: "m",
          journal: undefined,
        },
      },
    ]);
    expect(output).toEqual(["{}\n"]);
  });

  it.each([
    "fold m --keep 1 -o o",
    "generate m --prompt p",
    "bench m",
    "eval m --text t",
    "eval m --probe copy",
  ])("says to %s what runs the model", async (command) => {
    const on = "--device webgpu --threads 2 --json".split(" ");
    const { calls } = await run(...command.split(" "), ...on);
    expect(calls[0]!.options).toMatchObject({ device: "webgpu", threads: 2 });
    await expect(run(...command.split(" "), "--device", "vulkan")).rejects.toThrow(
      /Allowed choices are auto, /,
    );
  });

  it("knows the budgets, and no others", async () => {
    const { calls } = await run("fold", "m", "--keep", "1/2", "--budget", "knapsack", "--dry-run", "--json");
    expect(calls).toMatchObject([{ options: { budget: "knapsack" } }]);
    await expect(run("fold", "m", "--keep", "1/2", "--budget", "greedy")).rejects.toThrow(
      /Allowed choices are uniform, power, knapsack, lorc-progressive, eigen-threshold/,
    );
  });

  it("keeps a journal beside the output, and says so after an interrupt once there is one", async () => {
    const place = await temporaryFolder();
    const journal = join(place, ".half.kvfold-journal");
    const args = ["fold", "m", "-o", join(place, "half"), "--keep", "1/2", "--resume"];
    expect((await run(...args, "--json")).calls).toMatchObject([{ options: { journal } }]);
    const interrupted = new CliError("interrupted", "interrupted; nothing was written");
    const host = { ...recordingHost().host, run: () => Promise.reject(interrupted) };
    const failing = () => failureOf(createProgram(host).parseAsync(args, { from: "user" }));
    expect(await failing()).toBe(interrupted);
    await mkdir(journal);
    expect(await failing()).toMatchObject({
      code: "interrupted",
      message: `interrupted; what is finished is kept in ${journal}, continue with the same command`,
    });
  });

  it("takes from the environment what no option says about a Hub", async () => {
    onTestFinished(() => void vi.unstubAllEnvs());
    vi.stubEnv("HF_ENDPOINT", "https://hub.example.org/");
    vi.stubEnv("HF_TOKEN", " hf_you\n");
    const args = ["inspect", "owner/name", "--cache-dir", "here", "--json"];
    const hub = { hubUrl: "https://hub.example.org/", revision: undefined, cacheFolder: resolve("here") };
    expect((await run(...args)).calls).toMatchObject([{ options: { hub: { ...hub, token: "hf_you" } } }]);
    const own = await run(...args, "--token", "hf_me");
    expect(own.calls).toMatchObject([{ options: { hub: { token: "hf_me" } } }]);
  });

  it("takes token ids of four bytes, and says which windows begin with BOS", async () => {
    const args = ["fold", "m", "-o", "out", "--keep", "1/2", "--calibration", "a.u32", "--json"];
    const calibrationOf = async (...more: readonly string[]) =>
      (await run(...args, ...more)).calls[0]!.options.calibration;
    const files = [{ path: "a.u32", format: "uint32" }];
    expect(await calibrationOf()).toEqual({ files, bos: undefined });
    expect(await calibrationOf("--bos")).toEqual({ files, bos: "windows" });
    expect(await calibrationOf("--no-bos")).toEqual({ files, bos: "documents" });
  });

  it("takes chunks as slots, or as slots and radians", async () => {
    const chunkOf = async (given: string) => {
      const { calls } = await run("fold", "m", "--keep", "1/2", "--chunk", given, "--dry-run", "--json");
      return calls[0]!.options.chunk;
    };
    expect(await chunkOf("16")).toBe(16);
    expect(await chunkOf("8, 0.8")).toEqual({ least: 8, phase: 0.8 });
  });

  it("plans without an output", async () => {
    const { calls } = await run("fold", "model", "--keep", "1/2", "--key-span", "4", "--dry-run", "--json");
    expect(calls).toMatchObject([{ name: "plan", options: { keySpan: 4, valueSpan: undefined } }]);
  });
});

describe("kvfold eval", () => {
  it("takes text or raw tokens", async () => {
    const text = await run("eval", "a", "b", "--text", "x.txt", "--json");
    expect(text.calls[0]!.options).toMatchObject({
      models: ["a", "b"],
      files: [{ path: "x.txt", format: "text" }],
    });
    const tokens = await run("eval", "a", "--tokens", "ids.bin", "--windows", "4", "--json");
    expect(tokens.calls[0]!.options).toMatchObject({
      files: [{ path: "ids.bin", format: "uint16" }],
      windows: 4,
    });
    const large = await run("eval", "a", "--tokens", "ids.u32", "--json");
    expect(large.calls[0]!.options).toMatchObject({ files: [{ path: "ids.u32", format: "uint32" }] });
  });

  it("measures shifts, LongPPL and divergences as it is told", async () => {
    const optionsOf = async (flags: string) =>
      (await run(...`eval a --text x.txt --json ${flags}`.split(" ").filter(Boolean))).calls[0]!.options;
    expect(await optionsOf("")).toMatchObject({
      shifts: undefined,
      divergence: "measure",
      longPerplexity: undefined,
      seed: 0,
    });
    const all = await optionsOf("--shift 0,4096 --no-kl --long-ppl --short-context 64 --seed 3 --buckets");
    expect(all).toMatchObject({
      shifts: [0, 4096],
      divergence: "skip",
      longPerplexity: { shortContext: 64 },
      seed: 3,
    });
    expect(await optionsOf("--long-ppl")).toMatchObject({ longPerplexity: { shortContext: undefined } });
  });

  it("probes copying, with or without text", async () => {
    const bare = await run(
      "eval",
      "a",
      "--probe",
      "copy",
      "--distances",
      "64,128",
      "--length",
      "16",
      "--json",
    );
    expect(bare.calls).toMatchObject([
      {
        name: "probeCopying",
        options: { models: ["a"], files: [], distances: [64, 128], length: 16, seed: 0 },
      },
    ]);
    const text = await run("eval", "a", "--probe", "copy", "--text", "x.txt", "--repeat", "tokens", "--json");
    expect(text.calls).toMatchObject([
      { name: "probeCopying", options: { files: [{ path: "x.txt", format: "text" }], repeat: "tokens" } },
    ]);
  });
});

describe("kvfold eval --retrieval", () => {
  it("turns options into a job", async () => {
    const { calls } = await run(
      ..."eval a b --retrieval keys.jsonl --limit 4 --dtype fp16 --json".split(" "),
    );
    expect(calls).toMatchObject([
      {
        name: "probeRetrieval",
        options: { models: ["a", "b"], file: "keys.jsonl", limit: 4, dtype: "fp16" },
      },
    ]);
  });
});

describe("kvfold generate and bench", () => {
  it("turn options into jobs", async () => {
    const generate = await run(
      "generate",
      "m",
      "--prompt",
      "Once",
      "--top-p",
      "0.9",
      "--stop",
      "a",
      "b",
      "--json",
    );
    expect(generate.calls[0]!.options).toMatchObject({
      prompt: "Once",
      topP: 0.9,
      stop: ["a", "b"],
      temperature: 0,
      chat: undefined,
    });
    const bench = await run("bench", "m", "n", "--contexts", "64,128", "--json");
    expect(bench.calls[0]!.options).toMatchObject({
      models: ["m", "n"],
      contexts: [64, 128],
      tokens: 32,
      repeats: 5,
    });
  });
});

describe("kvfold generate --chat", () => {
  const chatOf = async (...args: readonly string[]) =>
    (await run("generate", "m", "--prompt", "Hi", "--json", ...args)).calls[0]!.options.chat;

  it("takes the prompt as what the user says, and instructions before it", async () => {
    expect(await chatOf("--chat")).toEqual({ system: undefined });
    expect(await chatOf("--chat", "--system", "Be brief.")).toEqual({ system: "Be brief." });
  });
});

describe("usage errors", () => {
  it.each([
    ["fold model -o out", "--keep"],
    ["fold model -o out --keep 1/2 --method magic", "svd-a"],
    ["fold model -o out --keep 1/2 --span 4 --key-span 2", "--span"],
    ["fold model -o out --keep 1/2 --dtype int8", "fp16"],
    ["fold model -o out --keep 1/2 --chunk 8,0.8,1", "such as 16,0.4"],
    ["fold model -o out --keep 1/2 --chunk few", "such as 16"],
    ["fold model -o out --keep 1/2 --windows 0 --calibration a", "1 or more"],
    ["fold model -o out --keep 1/2 --heal all", "attention"],
    ["fold model -o out --keep 1/2 --metric nats", "output, loss"],
    ["fold model -o out --keep 1/2 --moments m --save-moments n", "--moments"],
    ["fold model --keep 1/2", "-o FOLDER"],
    ["fold model --keep 1/2 --output=", "-o FOLDER"],
    [
      "fold model -o out --keep 1/2 --windows 8",
      "--windows is about calibration text: add --calibration FILE",
    ],
    ["inspect model --no-bos", "--no-bos is about calibration text: add --calibration FILE"],
    ["generate model --prompt a --system b", "add --chat"],
    ["eval model", "--text"],
    ["eval model --text a --tokens b", "--text"],
    ["eval model --retrieval a.jsonl --text b", "--text"],
    ["eval model --retrieval a.jsonl --window 64", "--window"],
    ["eval model --retrieval a.jsonl --seed 1", "--seed"],
    ["eval model --text a --limit 4", "--retrieval"],
    ["eval", "models"],
    ["generate model", "give --prompt TEXT, or --prompts FILE"],
    ["generate model --prompt x --top-p 2", "to 1"],
    ["inspect model --svg a.svg", "--calibration"],
    ["bench model --contexts 64,x", "whole number"],
    ["eval model --text a --distances 64", "--probe copy"],
    ["eval model --text a --probe copy --shift 64", "--shift is about perplexity"],
    ["eval model --text a --probe copy --no-kl", "--no-kl is about perplexity"],
    ["eval model --text a --short-context 64", "--short-context is about LongPPL; add --long-ppl"],
    ["eval model --text a --shift 64,-1", "whole number"],
    ["eval model --retrieval a.jsonl --long-ppl", "--long-ppl"],
    ["eval model --retrieval a.jsonl --no-kl", "--no-kl"],
    ["eval model --text a --probe copy --window 64", "--window is about perplexity"],
    ["inspect model --force", "--svg FILE"],
    ["fold model -o out --keep 1/2 --format hf --max-positions 64", "--format onnx"],
    ["fold model -o out --keep 1/2 --format onnx,gguf2", "Choose one of onnx, hf, gguf"],
    ["fold model -o out --keep 1/2 --dtype q8_0", "Choose one of fp32, fp16, q4, q8"],
    ["generate model --prompt x --dtype q8", "Choose one of fp32, fp16, q4."],
    ["flod model", "fold"],
    ["fold model -o out --keep 1/2 --colour", "unknown option"],
  ])("kvfold %s", async (line, hint) => {
    const { host } = recordingHost();
    const error = await failureOf(createProgram(host).parseAsync(line.split(" "), { from: "user" }));
    expect(error.message).toContain(hint);
    expect(print(error).code).toBe(2);
  });

  it("never draw over an existing file", async () => {
    const svg = join(await temporaryFolder(), "energy.svg");
    await writeFile(svg, "mine");
    const error = await failureOf(run("inspect", "model", "--calibration", "a.txt", "--svg", svg));
    expect(error).toMatchObject({ code: "output-exists" });
  });

  it("never draw over a file that came while the model was measured", async () => {
    const svg = join(await temporaryFolder(), "energy.svg");
    const lost = { apart: [0.5], joint: [0.5], unturned: null };
    const layer = { layer: 0, keysBeforeRope: null, keys: [0.5], values: [0.5], lost };
    const energy = { fractions: [0.5], layers: [layer], lost, chunk: 8, windows: 1, window: 2 };
    const { host } = recordingHost({ energy });
    const racing = {
      ...host,
      run: async (...args: Parameters<CommandHost["run"]>) => {
        await writeFile(svg, "mine");
        return host.run(...args);
      },
    } as CommandHost;
    const args = ["inspect", "model", "--calibration", "a.txt", "--svg", svg];
    const error = await failureOf(createProgram(racing).parseAsync(args, { from: "user" }));
    expect(error).toMatchObject({ code: "output-exists" });
    expect(await readFile(svg, "utf8")).toBe("mine");
  });
});

describe("printError", () => {
  it("prints one line for what was foreseen, and JSON on request", () => {
    const error = new CliError("unreadable-file", "x: no such file");
    expect(print(error)).toEqual({ code: 1, text: "error: x: no such file\n" });
    const { text } = print(error, { json: true });
    expect(JSON.parse(text)).toEqual({ error: { code: "unreadable-file", message: "x: no such file" } });
  });

  it("shows stacks only when asked to", () => {
    const bug = new TypeError("oops");
    expect(print(bug).text).toBe(
      "error: oops\nThis should not happen. Run it again with --verbose for the stack.\n",
    );
    expect(print(bug, { verbose: true }).text).toContain("program.test.ts");
  });

  it("gives a full disk its remedy, also from a worker", () => {
    const reported = { code: "invalid-option", message: "no", expected: true, stack: undefined };
    expect(print(new JobError(reported)).code).toBe(2);
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), {
      code: "ENOSPC",
      syscall: "write",
    });
    expect(print(full).text).toContain("free some space");
  });

  it("exits as the signal says", () => {
    expect(print(new CliError("interrupted", "interrupted"), { exitCode: 143 }).code).toBe(143);
  });

  it("adds nothing to help", () => {
    const asked = new CommanderError(0, "commander.helpDisplayed", "(outputHelp)");
    expect(print(asked)).toEqual({ code: 0, text: "" });
    const noCommand = new CommanderError(1, "commander.help", "(outputHelp)");
    expect(print(noCommand)).toEqual({ code: 2, text: "" });
  });
});

function print(
  error: unknown,
  { json = false, verbose = false, exitCode = undefined as number | undefined } = {},
): { readonly code: number; readonly text: string } {
  const stream = new PassThrough({ encoding: "utf8" });
  const options = { json, verbose, interrupts: { exitCode } };
  const code = printError(error, { ...options, stream: stream as unknown as NodeJS.WriteStream });
  return { code, text: String(stream.read() ?? "") };
}
