import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import type { PublishedCurve } from "../src/pictures/quality-points.js";

const results = fileURLToPath(new URL("../../../docs/results.json", import.meta.url));
const ID = "virtual:published-quality";

/** What is used of a row of docs/results.json. */
interface Row {
  readonly model: string;
  readonly method: string;
  readonly keep: string;
  readonly draw: number;
  readonly floatType: string;
  readonly ratio: number;
  readonly cacheBytesPerToken: number;
}

/** The measured quality of the embedded model's folds, as a module: `virtual:published-quality`. */
export const publishedQuality = (): Plugin => ({
  name: "published-quality",
  resolveId: (id) => (id === ID ? `\0${ID}` : undefined),
  async load(id) {
    if (id !== `\0${ID}`) return undefined;
    const rows = JSON.parse(await readFile(results, "utf8")) as readonly Row[];
    return `export default ${JSON.stringify(curvesOf(rows))}`;
  },
});

function curvesOf(rows: readonly Row[]): readonly PublishedCurve[] {
  const curves = new Map<string, PublishedCurve["points"]>();
  for (const { model, method, keep, draw, floatType, ratio, cacheBytesPerToken: bytes } of rows) {
    if (model !== "prose-6m" || method === "none" || draw !== 0 || floatType !== "float32") continue;
    const points = [...(curves.get(method) ?? []), { keep, bytes, ratio }];
    curves.set(
      method,
      points.sort((a, b) => a.bytes - b.bytes),
    );
  }
  const bestFirst = [...curves].sort(([, a], [, b]) => a[0]!.ratio - b[0]!.ratio);
  return bestFirst.map(([method, points]) => ({ method, points }));
}
