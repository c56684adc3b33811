import { describe, expect, it } from "vitest";
import { arrows, findCycle, folderArrows, nodePackages } from "../src/arrows";
import { folderOf, isNodeFile, packageOf, reachesNodeFile, readImports, targetOf } from "../src/imports";
import { apps, listEntryPoints, listSources, packages, readText, type Workspace } from "../src/workspace";

const shortName = (name: string) => name.replace(/^@kvfold\//, "");
const isOurs = (name: string) => name.startsWith("@kvfold/");
const declared = ({ manifest }: Workspace) =>
  Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).toSorted();

const optionalPeers = ({ manifest }: Workspace) =>
  Object.entries(manifest.peerDependenciesMeta ?? {})
    .filter(([, { optional }]) => optional)
    .map(([name]) => name);

describe("arrows between packages", () => {
  it("are drawn for every package", () => {
    expect(packages.map(({ manifest }) => shortName(manifest.name)).toSorted()).toEqual(
      Object.keys(arrows).toSorted(),
    );
  });

  it.each(packages)("$folder declares the dependencies that are drawn", (workspace) => {
    const { to, outside, optional = [] } = arrows[shortName(workspace.manifest.name)]!;
    const ours = declared(workspace).filter(isOurs).map(shortName);
    expect({
      to: ours.filter((name) => !optional.includes(name)),
      optional: optionalPeers(workspace).map(shortName),
      outside: declared(workspace).filter((name) => !isOurs(name)),
    }).toEqual({ to: to.toSorted(), optional, outside: outside.toSorted() });
  });

  it.each(packages)("$folder loads optional packages in src/node alone", (workspace) => {
    const { optional = [] } = arrows[shortName(workspace.manifest.name)]!;
    const loads = listSources(workspace)
      .flatMap(readImports)
      .filter(({ specifier }) => optional.includes(shortName(packageOf(specifier) ?? "")));
    expect(loads.filter(({ file }) => !isNodeFile(file))).toEqual([]);
  });

  it.each(["runtime-node", "runtime-web"])("no package depends on %s", (runtime) => {
    expect(Object.keys(arrows).filter((name) => arrows[name]!.to.includes(runtime))).toEqual([]);
  });

  it("make no cycle, nor do they with those of tests", () => {
    const graph = packages.map(({ manifest }): [string, string[]] => [
      manifest.name,
      Object.keys({
        ...manifest.dependencies,
        ...manifest.peerDependencies,
        ...manifest.devDependencies,
      }).filter(isOurs),
    ]);
    expect(
      findCycle(new Map(graph)),
      "turbo builds what a test needs first, so a cycle has no order",
    ).toBeUndefined();
  });
});

describe("imports in sources", () => {
  it.each([...packages, ...apps])("of $folder are declared in its package.json", (workspace) => {
    const known = new Set([workspace.manifest.name, ...declared(workspace)]);
    const undeclared = listSources(workspace)
      .flatMap(readImports)
      .filter(({ specifier }) => !known.has(packageOf(specifier) ?? workspace.manifest.name));
    expect(undeclared).toEqual([]);
  });

  const portable = packages.filter(({ manifest }) => !nodePackages.includes(shortName(manifest.name)));

  it.each(portable)("of $folder leave Node to src/node", (workspace) => {
    const imports = listSources(workspace)
      .filter((file) => !isNodeFile(file))
      .flatMap(readImports);
    expect(imports.filter((found) => found.specifier.startsWith("node:") || reachesNodeFile(found))).toEqual(
      [],
    );
  });
});

/** Rows of the table in ARCHITECTURE.md whose first heading this is: names in the first cell, and in the second. */
function readTable(heading: string): Record<string, string[]> {
  const page = readText("ARCHITECTURE.md");
  const table = page.slice(page.indexOf(`| ${heading} `)).split("\n\n")[0]!;
  const rows = [...table.matchAll(/^\| `([^`]+)` *\|([^|]*)\|/gm)].slice(heading.startsWith("`") ? 1 : 0);
  const names = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
  return Object.fromEntries(rows.map(([, name, cell]) => [name, names(cell!).toSorted()]));
}

describe("ARCHITECTURE.md", () => {
  it("has the arrows between the packages", () => {
    const expected = Object.entries(arrows).map(([name, { to }]) => [name, to.toSorted()]);
    const { "apps/*": _, ...drawn } = readTable("package");
    expect(drawn).toEqual(Object.fromEntries(expected));
  });

  it.each(Object.entries(folderArrows))("has the arrows between the folders of %s", (name, folders) => {
    expect(readTable(`\`${name}/src\``)).toEqual(folders);
  });
});

/** Files of a workspace that import each other, by importing file. */
function fileGraph(workspace: Workspace): ReadonlyMap<string, readonly string[]> {
  const files = listSources(workspace);
  const targets = (file: string) => readImports(file).flatMap((found) => targetOf(found, files) ?? []);
  return new Map(files.map((file) => [file, targets(file)]));
}

describe("arrows between folders", () => {
  const layered = packages.filter(({ manifest }) => shortName(manifest.name) in folderArrows);

  it.each(layered)("of $folder are those that are drawn, types included", (workspace) => {
    const found = new Map<string, Set<string>>();
    for (const [file, targets] of fileGraph(workspace)) {
      const from = folderOf(file);
      if (from === undefined) continue;
      const others = targets.map(folderOf).filter((to) => to !== undefined && to !== from);
      found.set(from, new Set([...(found.get(from) ?? []), ...others] as string[]));
    }
    const drawn = folderArrows[shortName(workspace.manifest.name)]!;
    expect(Object.fromEntries([...found].map(([from, to]) => [from, [...to].toSorted()]))).toEqual(
      Object.fromEntries(Object.entries(drawn).map(([from, to]) => [from, to.toSorted()])),
    );
    expect(findCycle(new Map(Object.entries(drawn)))).toBeUndefined();
  });

  it.each(layered)(
    "of $folder leave out what lies beside: entry points see all, the rest none",
    (workspace) => {
      const entryPoints = new Set(listEntryPoints(workspace));
      const files = [...fileGraph(workspace)];
      const isRest = (file: string) => folderOf(file) === undefined && !entryPoints.has(file);
      expect({
        toEntryPoints: files.filter(([, targets]) => targets.some((target) => entryPoints.has(target))),
        toFolders: files.filter(([file, targets]) => isRest(file) && targets.some(folderOf)),
      }).toEqual({ toEntryPoints: [], toFolders: [] });
    },
  );

  it.each([...packages, ...apps])(
    "files of $folder import each other in no circle, types included",
    (workspace) => {
      expect(findCycle(fileGraph(workspace))).toBeUndefined();
    },
  );
});

describe("findCycle", () => {
  it("names the packages along a cycle", () => {
    const graph = new Map([
      ["a", ["b"]],
      ["b", ["c", "d"]],
      ["c", []],
      ["d", ["b"]],
    ]);
    expect(findCycle(graph)).toEqual(["b", "d", "b"]);
  });

  it("finds none where two paths meet", () => {
    const graph = new Map([
      ["a", ["b", "c"]],
      ["b", ["c"]],
      ["c", []],
    ]);
    expect(findCycle(graph)).toBeUndefined();
  });
});

describe("what an import reaches", () => {
  it.each([
    ["@kvfold/onnx/node", "@kvfold/onnx"],
    ["zod/mini", "zod"],
    ["zod", "zod"],
    ["./graph", undefined],
    ["node:path", undefined],
    ["virtual:figures", undefined],
  ])("%s is of package %s", (specifier, name) => {
    expect(packageOf(specifier)).toBe(name);
  });

  it.each([
    ["packages/a/src/plan/keep.ts", "../errors.js", "packages/a/src/errors.ts"],
    ["packages/a/src/errors.ts", "./plan/keep.js", "packages/a/src/plan/keep.ts"],
    ["packages/a/src/view.ts", "./page.jsx", "packages/a/src/page.tsx"],
    ["packages/a/src/errors.ts", "zod", undefined],
    ["packages/a/src/errors.ts", "./not-there.js", undefined],
  ])("%s importing %s leads to %s", (file, specifier, target) => {
    const files = ["packages/a/src/errors.ts", "packages/a/src/plan/keep.ts", "packages/a/src/page.tsx"];
    expect(targetOf({ file, specifier }, files)).toBe(target);
  });

  it.each([
    ["packages/a/src/plan/keep.ts", "plan"],
    ["packages/a/src/plan/deep/keep.ts", "plan"],
    ["packages/a/src/index.ts", undefined],
  ])("%s lies in folder %s", (file, folder) => {
    expect(folderOf(file)).toBe(folder);
  });

  it.each([
    ["packages/a/src/index.ts", "./node/file-sink", true],
    ["packages/a/src/index.ts", "./node", true],
    ["packages/a/src/deep/x.ts", "../node.ts", true],
    ["packages/a/src/index.ts", "./graph-node", false],
    ["packages/a/src/index.ts", "./graph/node", false],
  ])("%s importing %s reaches Node: %s", (file, specifier, reaches) => {
    expect(reachesNodeFile({ file, specifier })).toBe(reaches);
  });
});
