/**
 * Makes the table of docs/results.md out of docs/results.json, between its two markers, and the picture beside it.
 * `node bench/render-quality.mjs`
 */
import { readFile, writeFile } from "node:fs/promises";
import { repositoryPath } from "./paths.mjs";

const rows = JSON.parse(await readFile(repositoryPath("docs/results.json"), "utf8")).filter(
  (row) => row.draw === 0,
);
const models = ["prose-27m", "prose-6m", "prose-bloom-6m"];
const folded = rows.filter(({ method }) => method !== "none");
const keeps = [...new Set(folded.map(({ keep }) => keep))].sort(
  (a, b) => Number(a.slice(2)) - Number(b.slice(2)),
);
const methods = ["random", "mean", "svd-w", "svd-a", "paper", "commuting", "commuting-reallocated", "latent"];

const page = repositoryPath("docs/results.md");
const text = await readFile(page, "utf8");
await writeFile(
  page,
  text.replace(/<!-- table -->[\s\S]*<!-- \/table -->/, `<!-- table -->\n${table()}\n<!-- /table -->`),
);
await writeFile(repositoryPath("docs/results.svg"), picture());

function table() {
  const head = ["cache", "method", "heal", ...models, "spans (keys, values)"];
  const lines = keeps.flatMap((keep) => methods.map((method) => tableRow(keep, method)).filter(Boolean));
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...lines.map(line)].join("\n");
}

function tableRow(keep, method) {
  const found = models.map((model) =>
    folded.find((row) => row.model === model && row.keep === keep && row.method === method),
  );
  const any = found.find(Boolean);
  if (any === undefined) return undefined;
  return [
    keep,
    `\`${method}\``,
    any.heal,
    ...found.map((row) => row?.ratio.toFixed(4) ?? ""),
    any.spans.join(", "),
  ];
}

/** Ratio against cache bytes, one panel a model, all methods in it; the ratio's axis is logarithmic. */
function picture() {
  const panels = models.filter((model) => folded.some((row) => row.model === model));
  const body = panels.map((model, index) => panel(model, 40 + index * 300)).join("\n");
  const legend = methods
    .map(
      (method, index) =>
        `<circle cx="${48 + index * 112}" cy="318" r="4" fill="${colour(method)}"/><text x="${56 + index * 112}" y="322">${method === "commuting-reallocated" ? "reallocated" : method}</text>`,
    )
    .join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${60 + panels.length * 300} 336" font-family="sans-serif" font-size="11"><title>Perplexity ratio by cache size</title><rect width="100%" height="100%" fill="#fff"/>\n${body}\n${legend}</svg>\n`;
}

function panel(model, left) {
  const points = folded.filter((row) => row.model === model);
  const x = (keep) => left + 40 + keeps.indexOf(keep) * (200 / Math.max(1, keeps.length - 1));
  const y = (ratio) => 270 - (Math.log(ratio) / Math.log(16)) * 220;
  const ticks = [1, 1.1, 1.5, 2, 4, 8, 16]
    .map(
      (tick) =>
        `<line x1="${left + 20}" x2="${left + 250}" y1="${y(tick)}" y2="${y(tick)}" stroke="#ddd"/><text x="${left + 14}" y="${y(tick) + 4}" text-anchor="end">${tick}</text>`,
    )
    .join("");
  const sizes = keeps
    .map((keep) => `<text x="${x(keep)}" y="290" text-anchor="middle">${keep}</text>`)
    .join("");
  const curves = methods
    .map((method) => {
      const found = keeps
        .map((keep) => points.find((row) => row.keep === keep && row.method === method))
        .filter(Boolean);
      const path = found.map((row) => `${x(row.keep)},${y(row.ratio)}`).join(" ");
      const dots = found
        .map((row) => `<circle cx="${x(row.keep)}" cy="${y(row.ratio)}" r="4" fill="${colour(method)}"/>`)
        .join("");
      return `<polyline points="${path}" fill="none" stroke="${colour(method)}" stroke-width="1.5"/>${dots}`;
    })
    .join("");
  return `<text x="${left + 130}" y="30" text-anchor="middle" font-weight="bold">${model}</text>${ticks}${sizes}${curves}`;
}

function colour(method) {
  const colours = ["#999999", "#b07aa1", "#e15759", "#f28e2b", "#edc948", "#76b7b2", "#59a14f", "#4e79a7"];
  return colours[methods.indexOf(method)];
}
