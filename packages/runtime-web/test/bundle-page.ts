import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";

const source = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const KVFOLD_PAGE = { page: "page.ts", worker: "worker.ts" };

/**
 * Bundles scripts of this folder, `page.ts` and `worker.ts` by default, with all they import into modules for browsers,
 * as an application's bundler would.
 */
export async function bundlePage(
  scripts: Readonly<Record<string, string>> = KVFOLD_PAGE,
): Promise<Readonly<Record<string, Uint8Array>>> {
  const folder = await mkdtemp(join(tmpdir(), "kvfold-page-"));
  try {
    await build({
      config: false,
      entry: Object.fromEntries(Object.entries(scripts).map(([name, file]) => [name, source(file)])),
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
    const names = await readdir(folder);
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [`/${name}`, await readFile(join(folder, name))])),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}
