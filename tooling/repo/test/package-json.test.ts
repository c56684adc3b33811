import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { withHome } from "../release/with-home.mjs";
import { apps, packages, readText, root } from "../src/workspace";

const published = [...packages, ...apps].filter(({ manifest }) => manifest.private !== true);

describe.each(published)("$folder", ({ folder, manifest }) => {
  it("says what it is and where it runs", () => {
    expect(manifest).toMatchObject({ license: "MIT", type: "module", engines: { node: ">=20.19" } });
    expect(manifest.description).toMatch(/\S/);
    expect(manifest.files).toContain("dist");
  });

  it("can be found by what it is about", () => {
    expect(manifest.keywords?.length).toBeGreaterThanOrEqual(3);
    expect(new Set(manifest.keywords).size).toBe(manifest.keywords?.length);
  });

  it("has a README", () => {
    expect(existsSync(join(root, folder, "README.md"))).toBe(true);
  });

  it("is published with the licence of the repository", () => {
    expect(readText(`${folder}/LICENSE`)).toBe(readText("LICENSE"));
  });

  it("depends on nothing by a path or a URL", () => {
    const versions = Object.values({ ...manifest.dependencies, ...manifest.peerDependencies });
    expect(versions.filter((version) => /^(file|link|git|https?):/.test(version))).toEqual([]);
  });
});

describe.each(packages)("$folder", ({ folder, manifest }) => {
  it("can be tree-shaken", () => {
    expect(manifest.sideEffects).toBe(false);
  });

  it("publishes its sources without their tests", () => {
    expect(manifest.files).toEqual(expect.arrayContaining(["dist", "src", "!src/**/*.test.ts"]));
  });

  it("has entries whose source comes first, then types, then code", () => {
    const entries = Object.entries(manifest.exports ?? {}).filter(([path]) => path !== "./package.json");
    expect(entries).not.toEqual([]);
    for (const [path, target] of entries) {
      const name = path === "." ? "index" : path.slice("./".length);
      expect(Object.entries(target)).toEqual([
        // Node's threads run no TypeScript, so that of a worker is always the built one.
        ...(name.endsWith("-worker") ? [] : [["@kvfold/source", `./src/${name}.ts`]]),
        ["types", `./dist/${name}.d.ts`],
        ["default", `./dist/${name}.js`],
      ]);
      expect(existsSync(join(root, folder, "src", `${name}.ts`)), `${folder}/src/${name}.ts`).toBe(true);
    }
  });
});

it("every package of the workspace has the same version", () => {
  expect(new Set(published.map(({ manifest }) => manifest.version)).size).toBe(1);
});

describe("the home of the repository", () => {
  it("is put into a package that names none, when it is published", () => {
    const manifest = { name: "@kvfold/rope", version: "0.1.0" };
    expect(withHome(manifest, "packages/rope", "https://host.example/us/kvfold")).toEqual({
      ...manifest,
      repository: {
        type: "git",
        url: "git+https://host.example/us/kvfold.git",
        directory: "packages/rope",
      },
      homepage: "https://host.example/us/kvfold#readme",
      bugs: "https://host.example/us/kvfold/issues",
    });
    const known = { ...manifest, bugs: "https://elsewhere.example" };
    expect(withHome(known, "packages/rope", "https://host.example")).toMatchObject({ bugs: known.bugs });
  });

  const homes = published.map(({ manifest }) => manifest.repository?.url);

  it("is the same in all packages, or in none before there is one", () => {
    expect(new Set(homes).size).toBe(1);
  });

  it.each(published)("is where $folder says that it is", ({ folder, manifest }) => {
    const { repository, homepage, bugs } = manifest;
    if (repository === undefined) return;
    expect(repository.directory).toBe(folder);
    expect(homepage).toMatch(/^https:/);
    expect(bugs).toBeDefined();
  });
});
