import { existsSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { apps, packages, readText, root } from "../src/workspace";

const published = [...packages, ...apps]
  .filter(({ manifest }) => manifest.private !== true)
  .map(({ folder }) => `${folder}/README.md`);
const pages = ["docs", "docs/decisions"].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `${folder}/${name}`),
);
const documents = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "examples/README.md",
  "examples/cluster/README.md",
  ...pages,
];

/** Targets of the links and pictures of a document, those with a scheme (`https:`) left out. */
const relativeLinks = (text: string): string[] =>
  [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));

/** The anchors of a document: headings in small letters, words joined by hyphens. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );

/** What is wrong with a link, if anything is. */
function findFault(document: string, link: string): string | undefined {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? document : normalize(join(dirname(document), path));
  if (!existsSync(join(root, target))) return `${link}: there is no ${target}`;
  if (anchor === undefined) return undefined;
  const page = target.endsWith(".md") ? target : `${target}/README.md`;
  return anchorsOf(readText(page)).includes(anchor) ? undefined : `${link}: ${page} has no such heading`;
}

describe.each(documents)("%s", (document) => {
  it("has links that lead somewhere", () => {
    const faults = relativeLinks(readText(document)).map((link) => findFault(document, link));
    expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
  });
});

describe.each(published)("%s", (document) => {
  it("has no links that end at the package, which is all that npm shows", () => {
    expect(relativeLinks(readText(document)).filter((link) => !link.startsWith("#"))).toEqual([]);
  });
});

interface MixResults {
  /** Unfolded: all of its prompts, and how many were answered exactly. */
  readonly retrieval: readonly {
    readonly task: string;
    readonly length: number;
    readonly items: number;
    readonly greedy: number;
  }[];
  readonly folds: readonly {
    readonly method: string;
    readonly keep: string;
    readonly chunk?: string;
    readonly prose: number;
    readonly code?: number;
    readonly passkeys?: number;
    readonly records?: number;
  }[];
}

/** Keys and values of 10 layers with 4 KV heads of 64 numbers, in float32. */
const MIX_BYTES_PER_TOKEN = 2 * 10 * 4 * 64 * 4;
/** Prompts of a kind that each fold is asked. */
const PROMPTS = 16;

describe("the figures of README.md", () => {
  const { retrieval, folds } = JSON.parse(readText("docs/mix-30m.json")) as MixResults;
  const rows = [
    ...readText("README.md").matchAll(
      /^\| (1(?:\/\d)?) +\| `(\S+)` +\| (\d+) +\| (\d\.\d{3}) \| (\d\.\d{3}) \| (\d+) +\| (\d+) +\|$/gm,
    ),
  ].map(([, keep = "", method = "", bytes, prose, code, passkeys, records]) => ({
    keep,
    method,
    cells: { bytes, prose, code, passkeys, records },
  }));

  /** Right answers of the unfolded model, to as many prompts as folds are asked. */
  const answersUnfolded = (task: string): number => {
    const row = retrieval.find((candidate) => candidate.task === task && candidate.length === 4000);
    // Which answers were wrong is not recorded.
    return row !== undefined && row.greedy === row.items ? PROMPTS : Number.NaN;
  };
  const original = {
    prose: 1,
    code: 1,
    passkeys: answersUnfolded("passkey"),
    records: answersUnfolded("records"),
  };
  const measured = (method: string, keep: string) =>
    method === "none" && keep === "1"
      ? original
      : folds.find((fold) => fold.method === method && fold.keep === keep && fold.chunk === undefined);

  it("are there", () => expect(rows).toHaveLength(6));

  it.each(rows)("$method at $keep is measured", ({ keep, method, cells }) => {
    const row = measured(method, keep);
    const [numerator = 1, denominator = 1] = keep.split("/").map(Number);
    expect(cells).toEqual({
      bytes: String((MIX_BYTES_PER_TOKEN * numerator) / denominator),
      prose: row?.prose.toFixed(3),
      code: row?.code?.toFixed(3),
      passkeys: String(row?.passkeys),
      records: String(row?.records),
    });
  });
});
