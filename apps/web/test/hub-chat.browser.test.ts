import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium } from "../../../tooling/run/chromium.mjs";
import { MODEL, startHub, type TestHub } from "../../cli/test/hub-server.js";
import { violationsOf } from "./axe.js";
import { type BuiltPage, serveBuiltPage } from "./built-page.js";
import { firstLayersOfModel, modelFolder } from "./short-model.js";

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";

/** A model that answers, by a template that it was never trained for. */
async function chatFiles(): Promise<ReadonlyMap<string, Uint8Array>> {
  const { config, weights } = await firstLayersOfModel();
  const read = (file: string) => readFile(join(modelFolder, file));
  const settings = JSON.parse((await read("tokenizer_config.json")).toString()) as object;
  return new Map([
    ["config.json", Buffer.from(config)],
    ["model.safetensors", weights],
    ["tokenizer.json", await read("tokenizer.json")],
    ["tokenizer_config.json", Buffer.from(JSON.stringify({ ...settings, chat_template: CHAT_TEMPLATE }))],
  ]);
}

describe.skipIf(findChromium() === undefined)(
  "a model of the Hub in the page (skipped where no Chromium is found: set CHROME_PATH)",
  () => {
    let built: BuiltPage;
    let hub: TestHub;
    beforeAll(async () => {
      built = await serveBuiltPage();
      hub = await startHub(await chatFiles());
    });
    afterAll(async () => {
      await built?.close();
      await hub?.close();
    });

    it("is downloaded and folded, answers in a conversation, and is opened again from storage", {
      timeout: 240_000,
    }, async () => {
      const page = await built.browser.newPage({ serviceWorkers: "block" });
      page.setDefaultTimeout(150_000);
      const problems: string[] = [];
      page.on("pageerror", ({ message }) => problems.push(message));
      const { press, columns, send } = visitor(page);

      await page.goto(`${built.url}?hub=${hub.url}`);
      await page.locator("form", { hasText: "Load from the Hub" }).getByRole("textbox").fill(MODEL);
      await press("Load from the Hub");
      await page.getByRole("status").getByText(MODEL, { exact: true }).waitFor();
      expect(hub.log.filter((line) => line.startsWith("model.safetensors"))).toEqual([
        "model.safetensors 0-",
      ]);

      await page.getByLabel("Cache to keep").selectOption("1/2");
      await page.getByLabel("Calibration windows").selectOption("4");
      await press("Fold");
      await page.getByText(/^Folded to 1\/2 in/).waitFor();
      await press("Keep in this browser");
      await page.getByText(`${MODEL}, 1/2 is kept in this browser.`).waitFor();

      await send("What did you see?");
      const first = await columns();
      for (const { question, answer } of first) {
        expect(question).toBe("You: What did you see?");
        expect(answer.length).toBeGreaterThan(20);
      }
      await send("And then?");
      for (const [index, { text }] of (await columns()).entries()) {
        expect(text).toContain(`${first[index]!.answer}You: And then?`);
        expect(text).toMatch(/not read again\d+ tokens/);
      }
      expect(await violationsOf(page)).toEqual([]);

      await page.reload();
      await page.getByRole("button", { name: `Open ${MODEL}, 1/2` }).click();
      await page.getByText(`${MODEL}, 1/2 is open: compare it below.`).waitFor();
      expect(await violationsOf(page)).toEqual([]);
      await send("What did you see?");
      expect((await columns()).map(({ answer }) => answer)).toEqual(first.map(({ answer }) => answer));

      await page.getByRole("button", { name: `Delete ${MODEL}, 1/2` }).click();
      await page.getByText(`${MODEL}, 1/2 is deleted.`).waitFor();
      // What was downloaded stays.
      const kept = page.getByRole("button", { name: `Open ${MODEL}` });
      await expect.poll(() => kept.count()).toBe(1);
      expect(problems).toEqual([]);
      await page.close();
    });
  },
);

/** What a visitor does and sees. */
function visitor(page: Page) {
  const button = (name: string) => page.getByRole("button", { name, exact: true });
  return {
    press: (name: string) => button(name).click(),
    /** Asks both models, and waits for their answers. */
    send: async (message: string) => {
      await page.getByLabel("Message").fill(message);
      await button("Send to both").click();
      await button("Stop").and(page.locator(":enabled")).waitFor();
      await button("Stop").and(page.locator(":disabled")).waitFor();
    },
    /** The first question in each column, what is answered to the last one, and all of it. */
    columns: async () => {
      const articles = await page.locator("article").all();
      return Promise.all(
        articles.map(async (article) => ({
          question: await article.locator(".turn.user").first().textContent(),
          answer: (await article.locator(".continuation").textContent())?.trim() ?? "",
          text: (await article.textContent()) ?? "",
        })),
      );
    },
  };
}
