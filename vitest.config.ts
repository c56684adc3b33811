import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { findChromium } from "./tooling/run/chromium.mjs";

/** Workspaces are tested from their sources: the condition picks `src/` in every `exports` map. */
const conditions = ["@kvfold/source"];
const setup = fileURLToPath(new URL("./tooling/testing/setup.ts", import.meta.url));

const folders = ["packages", "apps", "tooling"].flatMap((parent) =>
  readdirSync(new URL(`./${parent}`, import.meta.url))
    .map((name) => `${parent}/${name}`)
    .filter((folder) => existsSync(new URL(`./${folder}/package.json`, import.meta.url))),
);
folders.push("examples");

/** Tests in browsers take longest: begun first, none runs alone at the end. */
class BrowsersFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isBrowser = ({ moduleId }: TestSpecification) => moduleId.endsWith(".browser.test.ts");
    const sorted = await super.sort(files);
    return [...sorted.filter(isBrowser), ...sorted.filter((file) => !isBrowser(file))];
  }
}

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    setupFiles: [setup],
    env: {
      // ONNX Runtime writes telemetry files to the temporary folder otherwise.
      ORT_DISABLE_TELEMETRY: "1",
      // Tests in browsers are skipped without.
      CHROME_PATH: findChromium() ?? "",
    },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Real models run on ONNX Runtime's own threads: two files at a time would only fight for the cores.
    maxWorkers: 2,
    // Importing all packages anew for each file would take a tenth of the time; nothing leaves state in them.
    isolate: false,
    sequence: { sequencer: BrowsersFirst },
    projects: folders.map((root) => ({
      extends: true as const,
      test: { name: root.split("/").at(-1)!, root, include: ["{src,test}/**/*.test.ts"] },
    })),
  },
});
