import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";

/** Bundles `page.ts` with all it imports into one module for browsers, as an application's bundler would. */
export async function bundlePage(): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "kvfold-page-"));
  try {
    await build({
      config: false,
      entry: { page: fileURLToPath(new URL("page.ts", import.meta.url)) },
      outDir: folder,
      format: "esm",
      platform: "browser",
      target: "es2022",
      noExternal: [/./],
      silent: true,
      esbuildOptions(options) {
        // From our sources, and with ONNX Runtime's own files served beside the bundle instead of inside it.
        options.conditions = ["@kvfold/source", "onnxruntime-web-use-extern-wasm"];
      },
    });
    return await readFile(join(folder, "page.js"));
  } finally {
    await rm(folder, { recursive: true });
  }
}
