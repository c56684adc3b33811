/**
 * Makes docs/frontier.svg and the tables of best points in docs/policies.md out of docs/frontier.json, which it makes first of
 * what `frontier.mjs` has written where `--from` names that.
 * `node bench/render-frontier.mjs [--from frontier.jsonl]`
 */
import { readFile, writeFile } from "node:fs/promises";
import { readLines } from "./frontier/lines.mjs";
import { picture } from "./frontier/picture.mjs";
import { answers, summarise } from "./frontier/summary.mjs";
import { repositoryPath, textOption } from "./paths.mjs";

const data = repositoryPath("docs/frontier.json");
const from = textOption("from");
if (from !== undefined) {
  const rows = summarise(readLines(from)).map((point) => `  ${JSON.stringify(point)}`);
  await writeFile(data, `[\n${rows.join(",\n")}\n]\n`);
}
const points = JSON.parse(await readFile(data, "utf8"));

/** Nominal shares of bytes: scales of quantised caches and tokens that cannot go add a little. */
const SHARES = [4, 8, 16, 32, 64, 128].map((share) => ({ name: `1/${share}`, most: 1.1 / share }));

const page = repositoryPath("docs/policies.md");
const text = await readFile(page, "utf8");
await writeFile(
  page,
  text.replace(
    /<!-- frontier -->[\s\S]*<!-- \/frontier -->/,
    `<!-- frontier -->\n\n${section()}\n\n<!-- /frontier -->`,
  ),
);
await writeFile(repositoryPath("docs/frontier.svg"), picture(points));

function section() {
  return [
    "![Quality against bytes](frontier.svg)",
    "Circles with an edge are points that nothing beats with as few bytes. For each share of bytes the table has the cache that keeps most\nanswers to questions that come after the compression, and the one that costs prose least; exact bytes may be a tenth above the\nshare. All points are in [frontier.json](frontier.json).",
    table(),
  ].join("\n\n");
}

/** For each share of bytes the point of most right answers, and the one that costs prose least. */
function table() {
  const head = ["bytes", "best for", "fold", "cache", "exact bytes", "pass key", "records"];
  const known = ["pass key, known", "records, known", "prose"];
  const lines = SHARES.flatMap(({ name, most }) => {
    const within = points.filter(({ bytes }) => bytes <= most);
    const [byAnswers] = within.filter(hasAnswers).sort(moreAnswers);
    const [byProse] = within.filter(({ prose }) => prose !== undefined).sort((a, b) => a.prose - b.prose);
    if (byAnswers !== undefined && byAnswers === byProse) return [row(name, "both", byAnswers)];
    return [
      ...(byAnswers ? [row(name, "answers", byAnswers)] : []),
      ...(byProse ? [row(name, "prose", byProse)] : []),
    ];
  });
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const all = [...head, ...known];
  return [line(all), line(all.map(() => "---")), ...lines.map(line)].join("\n");
}

function row(name, purpose, point) {
  const { keep, cache, bytes, passkey, records, prose } = point;
  const answered = [passkey.unknown, records.unknown, passkey.known, records.known];
  return [
    name,
    purpose,
    keep === "1" ? "none" : keep,
    `\`${cache}\``,
    bytes.toFixed(4),
    ...answered.map(({ right, of }) => (of === 0 ? "" : `${right}/${of}`)),
    prose?.toFixed(4) ?? "",
  ];
}

function hasAnswers(point) {
  return answers(point, "unknown") !== undefined;
}

/** Of as many right answers the one that costs prose less comes first. */
function moreAnswers(a, b) {
  const more = answers(b, "unknown") - answers(a, "unknown");
  return more || (a.prose ?? Number.POSITIVE_INFINITY) - (b.prose ?? Number.POSITIVE_INFINITY);
}
