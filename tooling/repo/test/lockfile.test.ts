import { expect, it } from "vitest";
import { readText } from "../src/workspace";

it("the lockfile names versions and checksums, and no host to load them from", () => {
  const lines = readText("pnpm-lock.yaml").split("\n");
  expect(lines.filter((line) => /tarball:|https?:\/\//.test(line))).toEqual([]);
});
