import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPendingFolder, type PendingFolder } from "./model-folder.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-pending-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const target = (): string => join(root, "model");

/** A folder that kvfold wrote. */
async function occupied(): Promise<string> {
  await mkdir(target());
  await writeFile(join(target(), "kvfold.json"), "old");
  return target();
}

/** A folder that kvfold did not write. */
async function foreign(): Promise<void> {
  await mkdir(target());
  await writeFile(join(target(), "notes.txt"), "dear to someone");
}

/** A pending folder with one file. */
async function pendingWith(content: string, options?: createPendingFolder.Options): Promise<PendingFolder> {
  const pending = await createPendingFolder(target(), options);
  await writeFile(join(pending.path, "kvfold.json"), content);
  return pending;
}

const read = (path: string): Promise<string> => readFile(join(root, path), "utf8");

const outputExists = (message: string | RegExp) =>
  expect.objectContaining({
    code: "output-exists",
    message: typeof message === "string" ? message : (expect.stringMatching(message) as string),
  });

describe("createPendingFolder", () => {
  it("writes beside the target and appears there on commit alone", async () => {
    const place = join(root, "models", "folded");
    const pending = await createPendingFolder(place);
    expect(dirname(pending.path)).toBe(dirname(place));
    await writeFile(join(pending.path, "new.txt"), "new");
    expect(await readdir(dirname(place))).not.toContain("folded");
    await pending.commit();
    expect(await read("models/folded/new.txt")).toBe("new");
    expect(await readdir(dirname(place))).toEqual(["folded"]);
  });

  it("makes a folder that others may read as far as the umask allows", async () => {
    const pending = await createPendingFolder(join(root, "model"));
    const plain = join(root, "plain");
    await mkdir(plain);
    expect((await stat(pending.path)).mode).toBe((await stat(plain)).mode);
  });

  it("takes the place of an empty folder", async () => {
    await mkdir(target());
    await (await pendingWith("new")).commit();
    expect(await readdir(target())).toEqual(["kvfold.json"]);
  });

  it("leaves nothing behind when discarded, and nothing changed", async () => {
    await occupied();
    const pending = await pendingWith("new", { existing: "replace" });
    await pending.discard();
    expect(await readdir(root)).toEqual(["model"]);
    expect(await read("model/kvfold.json")).toBe("old");
  });

  it("keeps the old folder until commit, then replaces all of it", async () => {
    const place = await occupied();
    await writeFile(join(place, "old.txt"), "old");
    const pending = await pendingWith("new", { existing: "replace" });
    expect(await read("model/old.txt")).toBe("old");
    await pending.commit();
    expect(await readdir(place)).toEqual(["kvfold.json"]);
    expect(await readdir(root)).toEqual(["model"]);
  });

  it("puts the old folder back when the new one cannot take its place", async () => {
    await occupied();
    const pending = await pendingWith("new", { existing: "replace" });
    await rm(pending.path, { recursive: true });
    await expect(pending.commit()).rejects.toThrow(/ENOENT/);
    expect(await read("model/kvfold.json")).toBe("old");
    expect(await readdir(root)).toEqual(["model"]);
  });

  it("refuses a folder with anything in it, and to replace what kvfold did not write", async () => {
    await foreign();
    await expect(createPendingFolder(target())).rejects.toThrow(
      outputExists(`${target()} is not empty; choose another folder, or have it replaced`),
    );
    await expect(createPendingFolder(target(), { existing: "replace" })).rejects.toThrow(
      outputExists(`${target()} has no kvfold.json, so kvfold did not write it; choose another folder`),
    );
    expect(await readdir(root)).toEqual(["model"]);
  });

  it.each(["refuse", "replace"] as const)("refuses a file (%s)", async (existing) => {
    await writeFile(target(), "");
    await expect(createPendingFolder(target(), { existing })).rejects.toThrow(
      outputExists(`${target()} is a file; choose a folder for the output`),
    );
  });

  it("says where no folder can be made", async () => {
    await writeFile(join(root, "file"), "");
    await expect(createPendingFolder(join(root, "file", "model"))).rejects.toThrow(
      expect.objectContaining({
        code: "write-failed",
        message: expect.stringMatching(/file\/model: no folder can be made there/) as string,
      }),
    );
  });

  it.skipIf(!existsSync("/proc/self"))("refuses a mount point, which no rename can replace", async () => {
    await expect(createPendingFolder("/proc")).rejects.toThrow(outputExists(/^\/proc is a mount point/));
  });
});

describe("a pending folder whose place is taken meanwhile", () => {
  it.each(["refuse", "replace"] as const)("loses to a folder with a file (%s)", async (existing) => {
    const pending = await pendingWith("new", { existing });
    await foreign();
    await expect(pending.commit()).rejects.toThrow(outputExists(/put at .*model .*stays as it is/));
    expect(await read("model/notes.txt")).toBe("dear to someone");
    await pending.discard();
    expect(await readdir(root)).toEqual(["model"]);
  });

  it.each(["refuse", "replace"] as const)("loses to a file (%s)", async (existing) => {
    const pending = await pendingWith("new", { existing });
    await writeFile(target(), "dear to someone");
    await expect(pending.commit()).rejects.toThrow(outputExists(/stays as it is/));
    expect(await read("model")).toBe("dear to someone");
    await pending.discard();
    expect(await readdir(root)).toEqual(["model"]);
  });

  it("loses to another one that was committed first, which stays whole", async () => {
    const [first, second] = [await pendingWith("first"), await pendingWith("second")];
    const outcomes = await Promise.allSettled([first.commit(), second.commit()]);
    const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
    expect(outcomes[1 - winner]).toMatchObject({ status: "rejected", reason: { code: "output-exists" } });
    expect(await read("model/kvfold.json")).toBe(["first", "second"][winner]);
    await Promise.all([first.discard(), second.discard()]);
    expect(await readdir(root)).toEqual(["model"]);
  });

  it("replaces another one where it may, and one of them is whole", async () => {
    await occupied();
    const names = ["a", "b", "c", "d"];
    const pending = await Promise.all(names.map((name) => pendingWith(name, { existing: "replace" })));
    await Promise.all(pending.map((each) => each.commit()));
    expect(names).toContain(await read("model/kvfold.json"));
    expect(await readdir(root)).toEqual(["model"]);
  });
});

describe("a target that is a symbolic link", () => {
  it.each([
    ["to an empty folder", true],
    ["to nothing yet", false],
  ])("stays, and the output appears where it leads: %s", async (_, exists) => {
    const real = join(root, "elsewhere", "real");
    await mkdir(exists ? real : join(root, "elsewhere"), { recursive: true });
    await symlink(join("elsewhere", "real"), target());
    const pending = await pendingWith("new");
    expect(dirname(pending.path)).toBe(dirname(real));
    await pending.commit();
    expect((await lstat(target())).isSymbolicLink()).toBe(true);
    expect(await read("elsewhere/real/kvfold.json")).toBe("new");
    expect(await readdir(join(root, "elsewhere"))).toEqual(["real"]);
  });

  it("keeps what is there unless it may be replaced", async () => {
    const real = join(root, "real");
    await mkdir(real);
    await writeFile(join(real, "kvfold.json"), "old");
    await symlink("real", target());
    await expect(createPendingFolder(target())).rejects.toThrow(outputExists(/real is not empty/));
    await (await pendingWith("new", { existing: "replace" })).commit();
    expect(await read("real/kvfold.json")).toBe("new");
    expect((await lstat(target())).isSymbolicLink()).toBe(true);
  });

  it("is refused where it leads to itself", async () => {
    await symlink("model", target());
    await expect(createPendingFolder(target())).rejects.toThrow(outputExists(/lead in a circle/));
  });
});
