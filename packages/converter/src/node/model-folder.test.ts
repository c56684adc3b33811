import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPendingFolder } from "./model-folder.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-pending-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A folder that holds one file. */
async function occupied(): Promise<string> {
  const target = join(root, "model");
  await mkdir(target);
  await writeFile(join(target, "old.txt"), "old");
  return target;
}

describe("createPendingFolder", () => {
  it("writes beside the target and appears there on commit alone", async () => {
    const target = join(root, "models", "folded");
    const pending = await createPendingFolder(target);
    expect(dirname(pending.path)).toBe(dirname(target));
    await writeFile(join(pending.path, "new.txt"), "new");
    expect(await readdir(dirname(target))).not.toContain("folded");
    await pending.commit();
    expect(await readFile(join(target, "new.txt"), "utf8")).toBe("new");
    expect(await readdir(dirname(target))).toEqual(["folded"]);
  });

  it("makes a folder that others may read as far as the umask allows", async () => {
    const pending = await createPendingFolder(join(root, "model"));
    const plain = join(root, "plain");
    await mkdir(plain);
    expect((await stat(pending.path)).mode).toBe((await stat(plain)).mode);
  });

  it("takes the place of an empty folder", async () => {
    const target = join(root, "model");
    await mkdir(target);
    const pending = await createPendingFolder(target);
    await writeFile(join(pending.path, "new.txt"), "new");
    await pending.commit();
    expect(await readdir(target)).toEqual(["new.txt"]);
  });

  it("leaves nothing behind when discarded, and nothing changed", async () => {
    const target = await occupied();
    const pending = await createPendingFolder(target, { existing: "replace" });
    await writeFile(join(pending.path, "new.txt"), "new");
    await pending.discard();
    expect(await readdir(root)).toEqual(["model"]);
    expect(await readdir(target)).toEqual(["old.txt"]);
  });

  it("keeps the old folder until commit, then replaces all of it", async () => {
    const target = await occupied();
    const pending = await createPendingFolder(target, { existing: "replace" });
    await writeFile(join(pending.path, "new.txt"), "new");
    expect(await readFile(join(target, "old.txt"), "utf8")).toBe("old");
    await pending.commit();
    expect(await readdir(target)).toEqual(["new.txt"]);
    expect(await readdir(root)).toEqual(["model"]);
  });

  it("puts the old folder back when the new one cannot take its place", async () => {
    const target = await occupied();
    const pending = await createPendingFolder(target, { existing: "replace" });
    await rm(pending.path, { recursive: true });
    await expect(pending.commit()).rejects.toThrow(/ENOENT/);
    expect(await readdir(target)).toEqual(["old.txt"]);
    expect(await readdir(root)).toEqual(["model"]);
  });

  it("refuses a folder with anything in it", async () => {
    const target = await occupied();
    await expect(createPendingFolder(target)).rejects.toThrow(
      expect.objectContaining({
        code: "output-exists",
        message: `${target} is not empty; choose another folder, or replace it with --force`,
      }),
    );
    expect(await readdir(root)).toEqual(["model"]);
  });

  it.each(["refuse", "replace"] as const)("refuses a file (%s)", async (existing) => {
    const target = join(root, "model");
    await writeFile(target, "");
    await expect(createPendingFolder(target, { existing })).rejects.toThrow(
      expect.objectContaining({
        code: "output-exists",
        message: `${target} is a file; choose a folder for the output`,
      }),
    );
  });
});
