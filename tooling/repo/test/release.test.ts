import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { packages, root } from "../src/workspace";

const run = (program: string, ...args: string[]) => spawnSync(program, args, { cwd: root, stdio: "ignore" });

/** Changesets compares with it. */
const hasMain = run("git", "rev-parse", "--verify", "main").status === 0;

it.skipIf(!hasMain)("no release before 1.0 is a major one (skipped in clones without a branch main)", () => {
  const folder = mkdtempSync(join(tmpdir(), "kvfold-release-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const plan = join(folder, "plan.json");
  run(join(root, "node_modules/.bin/changeset"), "status", "--output", relative(root, plan));
  // Without changesets there is no plan.
  const { releases } = JSON.parse(existsSync(plan) ? readFileSync(plan, "utf8") : '{"releases":[]}') as {
    readonly releases: readonly { readonly name: string; readonly type: string }[];
  };
  const isEarly = packages.every(({ manifest }) => manifest.version.startsWith("0."));
  expect(releases.filter(({ type }) => isEarly && type === "major")).toEqual([]);
});
