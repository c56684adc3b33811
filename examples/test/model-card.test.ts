import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { InferenceSession } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const execute = promisify(execFile);
const place = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const command = place("apps/cli/bin/kvfold.js");
const model = place("assets/models/prose-6m");

/** A program of the card, and its language. */
interface Snippet {
  readonly language: string;
  readonly code: string;
}

let root: string;
let folded: string;
let snippets: readonly Snippet[];
/** What the model writes after the prompt of the programs, by kvfold's own runtime. */
let written: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-card-"));
  folded = join(root, "folded");
  // A method without measurements whose results every format holds.
  const fold = ["fold", model, "-o", folded, "--keep", "1/2", "--method", "mean"];
  await kvfold([...fold, "--format", "onnx,hf,gguf", "--quiet"]);
  const example = [place("examples/stream-in-node.mjs"), folded, "Once upon a time", "64"];
  written = (await execute(process.execPath, example)).stdout.trim();
  const card = await readFile(join(folded, "README.md"), "utf8");
  snippets = [...card.matchAll(/^```(\w+)\n((?:.*\n)*?)```$/gm)].map(([, language = "", code = ""]) => ({
    language,
    code: code.replaceAll("OWNER/NAME", folded).replaceAll("FOLDER", folded).replaceAll("ORIGINAL", model),
  }));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function kvfold(args: readonly string[], cwd = root): Promise<string> {
  const { stdout } = await execute(process.execPath, [command, ...args], { cwd });
  return stdout;
}

/** The one program of the card in a language that has these words. */
function snippetWith(language: string, words: string): string {
  const found = snippets.filter((snippet) => snippet.language === language && snippet.code.includes(words));
  expect(found.map(({ code }) => code)).toHaveLength(1);
  return found[0]!.code;
}

/** Words of a line of a shell, quotes taken off. */
const wordsOf = (line: string): readonly string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);

/** What follows `kvfold` on a line of the card. */
function argumentsOf(line: string): readonly string[] {
  const [program, ...args] = wordsOf(line);
  expect(program).toBe("kvfold");
  return args;
}

describe("the model card of a fold", () => {
  it("has a program for each that can load it", () => {
    expect(snippets.map(({ language }) => language)).toEqual(["sh", "js", "python", "sh", "python", "sh"]);
  });

  it("is run by kvfold generate and kvfold serve", async () => {
    const [generate = "", serve = ""] = snippetWith("sh", "kvfold generate").trim().split("\n");
    const text = await kvfold([...argumentsOf(generate), "--max-new-tokens", "16", "--quiet"]);
    expect(text.trim().length).toBeGreaterThan(16);
    const free = ["--port", "0", "--quiet"];
    const server = spawn(process.execPath, [command, ...argumentsOf(serve), ...free], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const [address = ""] = await server.stdout.setEncoding("utf8").take(1).toArray();
      expect((await fetch(new URL("/health", address.trim()))).status).toBe(200);
    } finally {
      server.kill("SIGINT");
      await once(server, "close");
    }
  });

  it("is run by transformers.js, which writes what kvfold writes", async () => {
    const program = snippetWith("js", "@huggingface/transformers");
    // What is not in the folder is not asked for elsewhere.
    const offline = 'import { env } from "@huggingface/transformers";\nenv.allowRemoteModels = false;\n';
    const args = ["--input-type=module", "--eval", offline + program];
    const { stdout, stderr } = await execute(process.execPath, args, { cwd: place("examples") });
    expect(stderr).toBe("");
    expect(stdout.trim()).toBe(written);
  });

  it("is measured by kvfold eval", async () => {
    const text = await readFile(place("assets/text/sunshine-sketches.txt"), "utf8");
    await writeFile(join(root, "your-text.txt"), text.slice(0, 8000));
    const line = snippetWith("sh", "kvfold eval")
      .trim()
      .replace("your-text.txt", join(root, "your-text.txt"));
    const { models } = JSON.parse(await kvfold([...argumentsOf(line), "--json", "--quiet"], folded)) as {
      readonly models: readonly { readonly path: string; readonly perplexity: number }[];
    };
    expect(models.map(({ path }) => path)).toEqual([model, "."]);
    expect(models[1]!.perplexity).toBeGreaterThan(models[0]!.perplexity);
  });

  it("names files that are there", () => {
    const [, gguf = ""] = /^llama-cli -m (\S+) /.exec(snippetWith("sh", "llama-cli")) ?? [];
    const [, subfolder = ""] = /subfolder="(.*)"/.exec(snippetWith("python", "transformers")) ?? [];
    const files = [gguf, `${subfolder}/config.json`, `${subfolder}/model.safetensors`];
    expect(files.filter((file) => !existsSync(join(folded, file)))).toEqual([]);
  });
});

const python = process.env.PYTHON ?? "python3";
const runs = (program: string) => spawnSync(python, ["-c", program]).status === 0;

describe.skipIf(!runs(""))("the Python of the model card (skipped without Python)", () => {
  it("is Python", async () => {
    const program = "import ast, sys\nfor code in sys.argv[1:]: ast.parse(code)";
    const codes = snippets.filter(({ language }) => language === "python").map(({ code }) => code);
    expect(codes).toHaveLength(2);
    await execute(python, ["-c", program, ...codes]);
  });

  it("feeds every input of the graph", async () => {
    const program = snippetWith("python", "onnxruntime");
    const [, path = ""] = /InferenceSession\("(.*)"\)/.exec(program) ?? [];
    const session = await InferenceSession.create(join(folded, path));
    const fed = [...program.matchAll(/feeds\["(\w+)"\]/g)].map(([, name]) => name);
    const [, past = "?"] = /startswith\("(.*)"\)/.exec(program) ?? [];
    const others = session.inputNames.filter((name) => !name.startsWith(past));
    expect(others.length).toBeLessThan(session.inputNames.length);
    expect(new Set(fed)).toEqual(new Set(others));
    const presents = session.inputNames
      .filter((name) => name.startsWith(past))
      .map((name) => name.replace("past_key_values", "present"));
    expect(new Set(session.outputNames)).toEqual(new Set(["logits", ...presents]));
    await session.release();
  });

  it.skipIf(!runs("import numpy, onnxruntime, tokenizers"))(
    "writes what kvfold writes (skipped without onnxruntime and tokenizers)",
    async () => {
      const program = snippetWith("python", "onnxruntime");
      const { stdout } = await execute(python, ["-c", program], { cwd: folded });
      // It goes on where others end with the document.
      expect(stdout.startsWith(written)).toBe(true);
    },
  );
});
