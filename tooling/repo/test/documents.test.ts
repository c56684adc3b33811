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
const documents = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "examples/README.md", ...pages];

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

interface QualityRow {
  readonly model: string;
  readonly method: string;
  readonly keep: string;
  readonly draw: number;
  readonly floatType: string;
  readonly ratio: number;
  readonly cacheBytesPerToken: number;
}

describe("the figures of README.md", () => {
  const results = JSON.parse(readText("docs/results.json")) as readonly QualityRow[];
  const rows = [
    ...readText("README.md").matchAll(/^\| (1(?:\/\d)?) +\| `(\S+)` +\| (\d\.\d{3}) +\| (\d+) MiB +\|$/gm),
  ].map(([, keep, method, ratio, mebibytes]) => ({ keep, method, ratio, mebibytes }));

  it("are there", () => expect(rows).toHaveLength(5));

  it.each(rows)("$method at $keep is measured", ({ keep, method, ratio, mebibytes }) => {
    const row = results.find(
      (candidate) =>
        candidate.model === "prose-27m" &&
        candidate.method === method &&
        candidate.keep === keep &&
        candidate.draw === 0 &&
        candidate.floatType === "float32",
    );
    expect(row?.ratio.toFixed(3)).toBe(ratio);
    expect((row?.cacheBytesPerToken ?? Number.NaN) * (4096 / 2 ** 20)).toBe(Number(mebibytes));
  });
});
