import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "vite";
import type { PageFile } from "../service-worker/kept-files.js";

const entry = fileURLToPath(new URL("../service-worker/service-worker.ts", import.meta.url));
const NAME = "service-worker.js";

/** Writes the service worker beside the built page, with a list of all its files. */
export const serviceWorker = (): Plugin => {
  let folder = "";
  return {
    name: "service-worker",
    apply: "build",
    configResolved: ({ root, build: { outDir } }) => {
      folder = join(root, outDir);
    },
    closeBundle: {
      order: "post",
      sequential: true,
      handler: () => writeServiceWorker(folder),
    },
  };
};

async function writeServiceWorker(folder: string): Promise<void> {
  await build({
    configFile: false,
    logLevel: "warn",
    define: { PAGE_FILES: JSON.stringify(await filesOf(folder)) },
    build: {
      target: "es2022",
      outDir: folder,
      emptyOutDir: false,
      copyPublicDir: false,
      lib: { entry, formats: ["iife"], name: "serviceWorker", fileName: () => NAME },
    },
  });
}

async function filesOf(folder: string): Promise<readonly PageFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((found) => found.isFile()).map((found) => join(found.parentPath, found.name));
  const files = paths.map(async (path) => {
    const bytes = await readFile(path);
    const revision = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
    const name = relative(folder, path).replaceAll(sep, "/");
    return { path: name === "index.html" ? "" : name, revision, bytes: bytes.length };
  });
  return (await Promise.all(files))
    .filter(({ path }) => path !== NAME)
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}
