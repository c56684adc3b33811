import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { AutoModelForCausalLM, AutoTokenizer, env, LogLevel, Tensor } from "@huggingface/transformers";
import { type CausalLM, createCausalLM, perplexity } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { CheckpointFiles } from "../../../packages/converter/test/support/first-layers.js";
import { findChromium } from "../../../tooling/run/chromium.mjs";
import { foldFiles } from "../src/fold/fold-files.js";
import type { FoldRequest } from "../src/fold/fold-request.js";
import { documentTokens, readTokenizer } from "../src/models/text-tokenizer.js";
import { type BuiltPage, serveBuiltPage } from "./built-page.js";
import { firstLayersOfModel, modelFolder } from "./short-model.js";
import { readStoredZip } from "./stored-zip.js";

const assets = fileURLToPath(new URL("../../../assets", import.meta.url));
const asset = (path: string): Promise<string> => readFile(join(assets, path), "utf8");

describe.skipIf(findChromium() === undefined)(
  "the page in Chromium (skipped where none is found: set CHROME_PATH)",
  () => {
    let built: BuiltPage;
    let page: Page;
    let folder: string;
    const problems: string[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "kvfold-page-"));
      built = await serveBuiltPage();
    });
    afterAll(async () => {
      await built?.close();
      await rm(folder, { recursive: true, force: true });
    });
    beforeEach(async () => {
      // Its service worker would answer before the routes of these tests.
      page = await built.browser.newPage({ serviceWorkers: "block" });
      // A fold takes seconds on a machine of its own, and a minute on one that others use.
      page.setDefaultTimeout(150_000);
      problems.length = 0;
      page.on("pageerror", ({ message }) => problems.push(message));
      page.on("console", (message) => {
        if (message.type() === "error") problems.push(message.text());
      });
      await page.goto(built.url);
      return async () => {
        await page.close();
        if (problems.length > 0) throw new Error(`the page complained: ${problems.join("; ")}`);
      };
    });

    const button = (name: string) => page.getByRole("button", { name, exact: true });
    const startFold = async (keep: string) => {
      await page.getByLabel("Cache to keep").selectOption(keep);
      await page.getByLabel("Calibration windows").selectOption("4");
      await button("Fold").click();
    };

    it("folds the embedded model as Node does, runs both, and gives what transformers.js loads", {
      timeout: 240_000,
    }, async () => {
      const cut = await embedFirstLayers();
      // Columns for both caches, rows for the original and three folds.
      await page.getByRole("table", { name: /^Tokens of context that fit into 2.0 GiB/ }).waitFor();
      expect(await page.locator("table.fit td").count()).toBe(8);
      await button("Use the embedded prose-6m").click();
      await startFold("1/2");
      await page.getByText(/^Folded to 1\/2 in/).waitFor();

      const inNode = await foldInNode(cut);
      // WebAssembly and Node sum in other orders, and healing amplifies that a little: the bound is kvfold's promise.
      const expectAsInNode = async (text: string) => {
        const expected = await inNode(text);
        for (const [index, value] of (await measureBoth()).entries())
          expect(Math.abs(value / expected[index]! - 1)).toBeLessThan(1e-3);
      };
      await expectAsInNode((await asset("text/sunshine-sketches.txt")).slice(0, 3000));
      expect(await page.locator("svg .own circle").count()).toBe(1);
      expect(await page.locator(".legend").first().textContent()).toContain("latent+knapsack");
      await page.getByText(/^1\/4 of the cache, all layers: [\d.]+ %, [\d.]+ %, [\d.]+ %$/).waitFor();
      expect(await page.getByRole("img", { name: /^Energy lost at .* of the cache/ }).count()).toBe(3);

      await button("Continue both").click();
      await page.getByText("The two texts agree").waitFor();
      await expect.poll(() => button("Stop").isDisabled(), { timeout: 60_000 }).toBe(true);
      const texts = await page.locator(".continuation").allTextContents();
      await button("Go on").click();
      await page
        .getByText(/^\d{2,} tokens$/)
        .nth(1)
        .waitFor();
      await expect.poll(() => button("Stop").isDisabled(), { timeout: 60_000 }).toBe(true);
      const longer = await page.locator(".continuation").allTextContents();
      for (const [index, text] of texts.entries()) expect(longer[index]).toContain(text);
      expect(await page.locator("article").first().textContent()).toContain("4.0 KiB");
      await page.getByText(/^WebAssembly, because the GPU is imitated by a program/).waitFor();

      const [download] = await Promise.all([
        page.waitForEvent("download"),
        button("Download for transformers.js").click(),
      ]);
      expect(download.suggestedFilename()).toBe("prose-6m-1-2.zip");
      const zip = join(folder, "model.zip");
      await download.saveAs(zip);
      expect(await continueWithTransformers(await unpack(zip))).toBe(texts[1]);
    });

    it("tunes a fold, whose tuned form is compared and can be stopped", { timeout: 240_000 }, async () => {
      await embedFirstLayers();
      await button("Use the embedded prose-6m").click();
      await startFold("1/8");
      await page.getByText(/^Folded to 1\/8 in/).waitFor();
      await page.getByLabel("Tuning steps").selectOption("10");
      await button("Tune").click();
      await page
        .getByText(/^tuning: step [2-8] of 10, loss [\d.]+, held-out loss [\d.]+, \d+ s left$/)
        .waitFor();
      await button("Stop and keep the best").click();
      const told = await page.getByText(/^Tuned 1\/8 in/).textContent();
      const [after, before] = [...told!.matchAll(/0\.\d{4}/g)].map(([loss]) => Number(loss));
      expect(after).toBeLessThan(before!);
      expect(Number(told!.match(/after (\d+) steps/)![1])).toBeLessThan(10);
      await page.getByRole("article", { name: "Folded to 1/8, tuned" }).waitFor();
      await button("Measure all folds").click();
      await page.getByText(/^original [\d.]+, folded to 1\/8 .* folded to 1\/8, tuned .* tokens$/).waitFor();
      const [, folded, tuned] = await figures();
      expect(tuned).toBeLessThan(folded!);
      expect(await button("Download for transformers.js").count()).toBe(2);
    });

    it("cancels, and folds again afterwards", async () => {
      await button("Use the embedded prose-6m").click();
      await startFold("1/4");
      await page.getByText(/^layer 1 of 6/).waitFor();
      await button("Cancel").click();
      await expect.poll(() => button("Fold").isEnabled()).toBe(true);
      expect(await page.locator(".results li").count()).toBe(0);
      await expect.poll(() => page.workers().length, { timeout: 20_000 }).toBe(0);
      await page.getByLabel("Method").selectOption("latent");
      await startFold("1/4");
      await page.getByText(/^layer 1 of 6/).waitFor();
      await button("Cancel").click();
    });

    it("says what a folder lacks, and what is broken in it", async () => {
      const broken = join(folder, "broken");
      await mkdir(broken);
      await writeFile(join(broken, "config.json"), "{}");
      await page.locator("input[type=file]").setInputFiles(broken);
      expect(await page.getByRole("alert").textContent()).toBe(
        "broken has no tokenizer.json, no safetensors file; drop a Hugging Face folder with config.json, tokenizer.json and safetensors",
      );

      await cp(modelFolder, join(folder, "cut"), { recursive: true });
      await truncate(join(folder, "cut/model.safetensors"), 100_000);
      await page.locator("input[type=file]").setInputFiles(join(folder, "cut"));
      await page.getByText("cut", { exact: true }).waitFor();
      await startFold("1/2");
      expect(await page.getByRole("alert").textContent()).toContain("model.safetensors");
      expect(await button("Fold").isEnabled()).toBe(true);
    });

    /** The model of the page with fewer layers. */
    async function embedFirstLayers(): Promise<CheckpointFiles> {
      const cut = await firstLayersOfModel();
      await page.route("**/demo/prose-6m/config.json", (route) => route.fulfill({ body: cut.config }));
      const weights = Buffer.from(cut.weights);
      await page.route("**/demo/prose-6m/model.safetensors", (route) => route.fulfill({ body: weights }));
      return cut;
    }

    /** What the page says of the text in its form: perplexity of the original and the folded model. */
    async function measureBoth(): Promise<readonly number[]> {
      await button("Measure both").click();
      await page.locator("form data").nth(1).waitFor();
      return figures();
    }

    const figures = (): Promise<readonly number[]> =>
      page
        .locator("form data")
        .evaluateAll((all) => all.map((data) => Number((data as HTMLDataElement).value)));

    /** The page's own fold on Node's ONNX Runtime, to measure as the page does. */
    async function foldInNode(cut: CheckpointFiles): Promise<(text: string) => Promise<readonly number[]>> {
      const blobOf = async (name: string) =>
        new Blob([new Uint8Array(await readFile(join(modelFolder, name)))]);
      const files = new Map([
        ["config.json", new Blob([cut.config])],
        ["model.safetensors", new Blob([cut.weights as Uint8Array<ArrayBuffer>])],
        ["tokenizer.json", await blobOf("tokenizer.json")],
        ["tokenizer_config.json", await blobOf("tokenizer_config.json")],
      ]);
      const provider = nodeProvider();
      const calibration = { text: await asset("text/the-thirty-nine-steps.txt"), windows: 4, length: 512 };
      const request: FoldRequest = { name: "prose-6m", files, keep: "1", runtimeUrl: "" };
      const watcher = { onProgress: () => {}, onEnergy: () => {} };
      const models: CausalLM[] = [];
      for (const one of [request, { ...request, keep: "1/2", calibration }]) {
        const { files: made } = await foldFiles(one, provider, watcher);
        const bytesOf = async (path: string) => new Uint8Array(await made.get(path)!.arrayBuffer());
        const session = await provider.createSession({
          bytes: await bytesOf("onnx/model.onnx"),
          externalData: [{ path: "model.onnx_data", data: await bytesOf("onnx/model.onnx_data") }],
        });
        onTestFinished(() => session.dispose());
        models.push(createCausalLM(session));
      }
      return async (text) => {
        const tokens = documentTokens(await readTokenizer(files), text, 512);
        return Promise.all(models.map(async (model) => (await perplexity(model, [tokens])).perplexity));
      };
    }

    async function unpack(zip: string): Promise<string> {
      for (const [path, bytes] of readStoredZip(await readFile(zip))) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), bytes);
      }
      return join(folder, "prose-6m-1-2");
    }

    /** What transformers.js writes after the page's prompt, which begins with the token that begins documents. */
    async function continueWithTransformers(model: string): Promise<string> {
      env.allowRemoteModels = false;
      env.logLevel = LogLevel.ERROR;
      const tokenizer = await AutoTokenizer.from_pretrained(model);
      const lm = await AutoModelForCausalLM.from_pretrained(model, { dtype: "fp32" });
      const words = tokenizer("It was a cold evening in November, and the fire had burned low when") as {
        input_ids: Tensor;
      };
      const ids = BigInt64Array.from([0n, ...(words.input_ids.data as BigInt64Array)]);
      const dims = [1, ids.length];
      const inputs = {
        input_ids: new Tensor("int64", ids, dims),
        attention_mask: new Tensor(
          "int64",
          ids.map(() => 1n),
          dims,
        ),
      };
      const output = (await lm.generate({ ...inputs, max_new_tokens: 96, do_sample: false })) as Tensor;
      const made = [...(output.data as BigInt64Array)].slice(ids.length).map(Number);
      await lm.dispose();
      return tokenizer.decode(made, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
    }
  },
);
