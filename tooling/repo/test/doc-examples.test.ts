import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findDifference } from "../src/doc-examples/find-difference";
import { type Fence, findFences } from "../src/doc-examples/find-fences";
import { type ExampleModule, writeModule } from "../src/doc-examples/write-module";
import { listDocuments, packages, readText, root } from "../src/workspace";

/** In the package's own folder, where its name and its dependencies resolve as they do for its users. */
const moduleFolder = (folder: string) => join(root, folder, ".examples");

const documented = packages
  .map((workspace) => ({
    folder: workspace.folder,
    examples: listDocuments(workspace)
      .flatMap((file) => findFences(file, readText(file)))
      .map((fence): [place: string, fence: Fence] => [`${fence.file}:${fence.line}`, fence]),
  }))
  .filter(({ examples }) => examples.length > 0);

afterAll(() => {
  for (const { folder } of documented) rmSync(moduleFolder(folder), { recursive: true, force: true });
});

describe.each(documented)("the examples of $folder", ({ folder, examples }) => {
  it.each(examples)("hold: %s", async (_place, fence) => {
    expect(await findBrokenClaims(folder, fence)).toEqual([]);
  });
});

async function findBrokenClaims(folder: string, fence: Fence): Promise<string[]> {
  const broken: string[] = [];
  const { run } = await importExample(folder, fence);
  await run((line, got, expected) => {
    const difference = findDifference(got, expected);
    if (difference !== undefined) broken.push(`${fence.file}:${line}: ${difference}`);
  });
  return broken;
}

function importExample(folder: string, fence: Fence): Promise<ExampleModule> {
  const name = `${fence.file.slice(folder.length + 1).replaceAll("/", "-")}-${fence.line}.ts`;
  const path = join(moduleFolder(folder), name);
  mkdirSync(moduleFolder(folder), { recursive: true });
  writeFileSync(path, writeModule(fence));
  return import(/* @vite-ignore */ path) as Promise<ExampleModule>;
}
