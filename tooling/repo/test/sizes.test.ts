import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { root } from "../src/workspace";

/** What a page downloads for an import. A raise of a ceiling says here what it pays for. */
const imports = [
  {
    what: "a page that runs models in workers",
    folder: "packages/runtime-web",
    code: 'export { createWebRuntime } from "@kvfold/runtime-web"',
    // Messages to and from a worker; the errors.
    ceilingBytes: 1_600,
  },
  {
    what: "the worker, without ONNX Runtime",
    folder: "packages/runtime-web",
    code: 'export * from "@kvfold/runtime-web/worker"',
    // 4 kB are the tensors of onnxruntime-common, 6.5 kB reading models (and refusing
    // weights outside of a model's folder) and sessions, 7 kB caches, batches, sampling, perplexity, retrieval, and
    // whether positions can be moved, 5 kB reading saved caches, which are untrusted safetensors files, 0.5 kB caches that
    // grow where they lie; 5 kB caches whose heads keep different tokens, for policies, and 6 kB their float16 numbers,
    // of which 4.4 are a library, 1.3 kB the rows of quantised caches, and at least 0.5 kB sums of
    // attention; 0.4 kB steps that drop tokens by name and write attention over that of the step before, and the refusal of float16.
    ceilingBytes: 38_400,
  },
  {
    what: "all of rope, without its mixings",
    folder: "packages/rope",
    code: 'export * from "@kvfold/rope"',
    // Six ways to scale frequencies and the reading of their configuration.
    ceilingBytes: 4_900,
  },
  {
    what: "rotating keys, alone",
    folder: "packages/rope",
    code: 'export { applyRope, ropeTables } from "@kvfold/rope"',
    // Half of it are checks of shapes, and their messages.
    ceilingBytes: 1_300,
  },
];

describe("minified and compressed", () => {
  it.each(imports)("$what stays small", async ({ folder, code, ceilingBytes }) => {
    const bytes = await compressedBytes(folder, code);
    expect(bytes).toBeLessThanOrEqual(ceilingBytes);
    // A ceiling far above says nothing: lower it.
    expect(bytes).toBeGreaterThan(0.8 * ceilingBytes);
  });
});

async function compressedBytes(folder: string, code: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: join(root, folder) },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    conditions: ["@kvfold/source"],
    logLevel: "silent",
  });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
}
