import { describe, expect, it } from "vitest";
import { arrows, findCycle, nodePackages } from "../src/arrows";
import { isNodeFile, packageOf, reachesNodeFile, readImports } from "../src/imports";
import { apps, listSources, packages, type Workspace } from "../src/workspace";

const shortName = (name: string) => name.replace(/^@kvfold\//, "");
const isOurs = (name: string) => name.startsWith("@kvfold/");
const declared = ({ manifest }: Workspace) =>
  Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).toSorted();

describe("arrows between packages", () => {
  it("are drawn for every package", () => {
    expect(packages.map(({ manifest }) => shortName(manifest.name)).toSorted()).toEqual(
      Object.keys(arrows).toSorted(),
    );
  });

  it.each(packages)("$folder declares the dependencies that are drawn", (workspace) => {
    const { to, outside } = arrows[shortName(workspace.manifest.name)]!;
    expect({
      to: declared(workspace).filter(isOurs).map(shortName),
      outside: declared(workspace).filter((name) => !isOurs(name)),
    }).toEqual({ to: to.toSorted(), outside: outside.toSorted() });
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
    ["packages/a/src/index.ts", "./node/file-sink", true],
    ["packages/a/src/index.ts", "./node", true],
    ["packages/a/src/deep/x.ts", "../node.ts", true],
    ["packages/a/src/index.ts", "./graph-node", false],
    ["packages/a/src/index.ts", "./graph/node", false],
  ])("%s importing %s reaches Node: %s", (file, specifier, reaches) => {
    expect(reachesNodeFile({ file, specifier })).toBe(reaches);
  });
});
