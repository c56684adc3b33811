/**
 * Makes the tables of docs/results.md out of docs/results.json and docs/mix-30m.json (`mix-30m.mjs --out`), between their
 * markers, and the picture beside them.
 * `node bench/render-quality.mjs`
 */
import { readFile, writeFile } from "node:fs/promises";
import { repositoryPath } from "./paths.mjs";

const all = JSON.parse(await readFile(repositoryPath("docs/results.json"), "utf8"));
const rows = all.filter((row) => row.draw === 0 && row.floatType === "float32");
const mix = JSON.parse(await readFile(repositoryPath("docs/mix-30m.json"), "utf8"));
const models = ["prose-27m", "prose-6m", "prose-bloom-6m"];
const folded = rows.filter(({ method }) => method !== "none");
const originals = new Map(rows.filter(({ method }) => method === "none").map((row) => [row.model, row]));
const keeps = [...new Set(folded.map(({ keep }) => keep))].sort(
  (a, b) => Number(a.slice(2)) - Number(b.slice(2)),
);
const methods = [
  "random",
  "mean",
  "svd-w",
  "svd-a",
  "paper",
  "lorc",
  "eigen-attention",
  "commuting",
  "commuting-reallocated",
  "latent",
  "latent+knapsack",
  "anchored",
];
/** Tokens between a passage and its repetition whose gain stands in the table. */
const COPY_DISTANCE = 128;
/** The model whose folding time stands in the table; the small ones' is mostly overhead. */
const TIMED_MODEL = "prose-27m";

const page = repositoryPath("docs/results.md");
const tables = {
  table: qualityTable(),
  sizes: sizeTable(),
  draws: drawTable(),
  halves: halfTable(),
  "mix-texts": mixTextTable(),
  "mix-retrieval": mixRetrievalTable(),
  "mix-folds": mixFoldTable(),
};
let text = await readFile(page, "utf8");
for (const [name, table] of Object.entries(tables))
  text = text.replace(
    new RegExp(`<!-- ${name} -->[\\s\\S]*<!-- /${name} -->`),
    `<!-- ${name} -->\n${table}\n<!-- /${name} -->`,
  );
await writeFile(page, text);
await writeFile(repositoryPath("docs/results.svg"), picture());

/** A table whose columns are as wide as their widest cell. */
function markdown(head, lines) {
  const rows = [head, ...lines].map((cells) => cells.map(String));
  const widths = head.map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  const [first, ...rest] = rows.map(line);
  return [first, line(widths.map((width) => "-".repeat(width))), ...rest].join("\n");
}

function qualityTable() {
  const head = ["cache", "method", "heal", ...models, "spans (keys, values)", "folding"];
  return markdown(
    head,
    keeps.flatMap((keep) => methods.map((method) => qualityLine(keep, method)).filter(Boolean)),
  );
}

function qualityLine(keep, method) {
  const found = models.map((model) =>
    folded.find((row) => row.model === model && row.keep === keep && row.method === method),
  );
  const any = found.find(Boolean);
  if (any === undefined) return undefined;
  const cells = [keep, `\`${method}\``, any.heal, ...found.map(qualityCell), any.spans.join(", ")];
  return [...cells, found[models.indexOf(TIMED_MODEL)]?.forwards?.toFixed(2) ?? ""];
}

/** The perplexity ratio, and the share of the original's gain from copying that is left. */
function qualityCell(row) {
  if (row === undefined) return "";
  const ratio = row.ratio.toFixed(4);
  return row.copy === undefined
    ? ratio
    : `${ratio} (${(gainOf(row) / gainOf(originals.get(row.model))).toFixed(2)})`;
}

function gainOf({ copy }) {
  return copy.find(({ distance }) => distance === COPY_DISTANCE).gain;
}

/** Cache bytes per token, float32. */
function sizeTable() {
  const bytesAt = (model, keep) =>
    folded.find((row) => row.model === model && row.keep === keep)?.cacheBytesPerToken ?? "";
  const lines = models
    .filter((model) => originals.has(model))
    .map((model) => [
      model,
      originals.get(model).cacheBytesPerToken,
      ...keeps.map((keep) => bytesAt(model, keep)),
    ]);
  return markdown(["model", "original", ...keeps], lines);
}

/** What three draws of calibration text make of `latent`. */
function drawTable() {
  const lines = models.flatMap((model) => keeps.map((keep) => drawLine(model, keep)).filter(Boolean));
  return markdown(["model", "cache", "draws", "spread"], lines);
}

function drawLine(model, keep) {
  const ratios = all
    .filter(
      (row) =>
        row.model === model && row.keep === keep && row.method === "latent" && row.floatType === "float32",
    )
    .map(({ ratio }) => ratio);
  if (ratios.length < 2) return undefined;
  const spread = (100 * (Math.max(...ratios) - Math.min(...ratios))) / Math.min(...ratios);
  return [model, keep, ratios.map((ratio) => ratio.toFixed(4)).join(", "), `${spread.toFixed(2)} %`];
}

/** What float16 output changes. */
function halfTable() {
  const lines = all
    .filter((row) => row.floatType === "float16" && row.method !== "none")
    .map((half) => [half, folded.find((row) => sameFold(row, half))])
    .filter(([, full]) => full !== undefined)
    .map(([half, full]) => [
      half.model,
      `\`${half.method}\``,
      half.keep,
      full.perplexity.toFixed(4),
      half.perplexity.toFixed(4),
      `${(100 * (half.perplexity / full.perplexity - 1)).toFixed(3)} %`,
    ]);
  return markdown(["model", "method", "cache", "float32", "float16", "change"], lines);
}

/** Perplexities of mix-30m, unfolded, beside those of the program that trained it. */
function mixTextTable() {
  const lines = mix.texts.map(({ name, tokens, perplexity, expected }) => [
    name,
    tokens,
    perplexity.toFixed(4),
    expected.toFixed(3),
    `${(100 * (perplexity / expected - 1)).toFixed(3)} %`,
  ]);
  return markdown(["text", "tokens", "kvfold", "in training", "difference"], lines);
}

/** Exact answers of mix-30m, unfolded. */
function mixRetrievalTable() {
  const lines = mix.retrieval.map(({ task, length, items, teacherForced, greedy, accuracy }) => [
    task,
    length,
    `${teacherForced}/${items}`,
    `${greedy}/${items}`,
    `${(100 * accuracy).toFixed(2)} %`,
  ]);
  return markdown(["task", "length", "teacher-forced", "greedy", "tokens"], lines);
}

/** What folds of mix-30m cost; empty where it was not measured. */
function mixFoldTable() {
  const lines = mix.folds.map(({ method, keep, chunk, prose, code, passkeys, records }) => [
    keep,
    `\`${method}\`${chunk === undefined ? "" : ` \`--chunk ${chunk}\``}`,
    prose?.toFixed(3) ?? "",
    code?.toFixed(3) ?? "",
    passkeys === undefined ? "" : `${passkeys}/16`,
    records === undefined ? "" : `${records}/16`,
  ]);
  return markdown(["cache", "method", "prose", "code", "pass keys", "records"], lines);
}

function sameFold(a, b) {
  return a.model === b.model && a.method === b.method && a.keep === b.keep;
}

/** Ratio against cache bytes, one panel a model, all methods in it; the ratio's axis is logarithmic. */
function picture() {
  const panels = models.filter((model) => folded.some((row) => row.model === model));
  const body = panels.map((model, index) => panel(model, 40 + index * 300)).join("\n");
  const legend = methods
    .map(
      (method, index) =>
        `<circle cx="${48 + (index % 6) * 150}" cy="${314 + 18 * Math.floor(index / 6)}" r="4" fill="${colour(method)}"/><text x="${56 + (index % 6) * 150}" y="${318 + 18 * Math.floor(index / 6)}">${method}</text>`,
    )
    .join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${60 + panels.length * 300} 372" font-family="sans-serif" font-size="11"><title>Perplexity ratio by cache size</title><rect width="100%" height="100%" fill="#fff"/>\n${body}\n${legend}</svg>\n`;
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
  const colours = [
    "#999999",
    "#b07aa1",
    "#e15759",
    "#f28e2b",
    "#edc948",
    "#9c755f",
    "#ff9da7",
    "#76b7b2",
    "#59a14f",
    "#4e79a7",
    "#2b4a6f",
    "#d37295",
  ];
  return colours[methods.indexOf(method)];
}
