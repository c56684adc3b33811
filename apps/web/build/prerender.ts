import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type Plugin, runnerImport } from "vite";
import { publishedQuality } from "./published-quality.js";

const entry = fileURLToPath(new URL("./render-page.ts", import.meta.url));
const embeddedConfig = fileURLToPath(new URL("../../../assets/models/prose-6m/config.json", import.meta.url));
const ROOT = '<div id="app">';

/**
 * Writes the page as it is before anybody touched it, with its styles, into `index.html`: the first paint then waits for
 * neither script nor stylesheet.
 */
export const prerender = (): Plugin => ({
  name: "prerender",
  apply: "build",
  transformIndexHtml: {
    order: "post",
    async handler(html, { bundle = {} }) {
      const { page, state } = await renderPage();
      const whole = html.replace(ROOT, () => ROOT + page).replace("</body>", () => `${state}</body>`);
      const written = runAfterPaint(whole);
      return written.replace(/<link rel="stylesheet"[^>]*href="\.\/([^"]+)"[^>]*>/g, (link, path: string) => {
        const file = bundle[path];
        if (file?.type !== "asset") return link;
        delete bundle[path];
        return `<style>${String(file.source).trim()}</style>`;
      });
    },
  },
});

/** The script is loaded beside the page, and run when the page has been painted: run at once it would hold up the paint. */
const runAfterPaint = (html: string): string =>
  html.replace(
    /<script type="module"[^>]*src="([^"]+)"><\/script>/,
    (_, path: string) =>
      `<link rel="modulepreload" href="${path}"><script type="module">requestAnimationFrame(() => setTimeout(() => import("${path}")))</script>`,
  );

interface Rendered {
  readonly page: string;
  /** For the script, which has to begin with what the page shows. */
  readonly state: string;
}

async function renderPage(): Promise<Rendered> {
  try {
    const { module } = await runnerImport<{ readonly renderPage: (config: string) => Rendered }>(entry, {
      configFile: false,
      logLevel: "error",
      plugins: [publishedQuality()],
      oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    });
    return module.renderPage(await readFile(embeddedConfig, "utf8"));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `src/app.tsx: cannot be rendered without a browser (${reason}); use browser objects in event handlers and effects only`,
      { cause },
    );
  }
}
