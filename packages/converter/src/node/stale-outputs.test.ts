import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPendingFolder } from "./model-folder.js";
import { processTag, stateOf } from "./process-tag.js";
import { removeStaleOutputs } from "./stale-outputs.js";
import { temporaryPath } from "./temporary-path.js";

const own = processTag();
const [machine, boot, pid, start] = own.split("-") as [string, string, string, string];
/** A process that has ended, and that its parent has asked about. */
const ENDED = [machine, boot, spawnSync(process.execPath, ["--version"]).pid, "1"].join("-");

let root: string;
let target: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-stale-"));
  target = join(root, "model");
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** What a process with this tag was writing, or had put aside. */
async function leave(tag: string, kind: "partial" | "replaced" = "partial"): Promise<string> {
  const path = temporaryPath(target, kind, `${tag}-00000000`);
  await mkdir(path);
  await writeFile(join(path, "kvfold.json"), kind);
  return path;
}

describe("stateOf", () => {
  it("knows this process", () => {
    expect(stateOf(own)).toBe("running");
  });

  it.skipIf(start === "0")("tells a process from one that had its id before", () => {
    expect(stateOf([machine, boot, pid, `${start}1`].join("-"))).toBe("ended");
  });

  it("knows that others have ended, or cannot know", () => {
    expect(stateOf(ENDED)).toBe("ended");
    expect(stateOf([machine, "00000000", pid, start].join("-"))).toBe("ended");
    expect(stateOf(["00000000", boot, pid, start].join("-"))).toBe("unknown");
    expect(stateOf("nonsense")).toBe("unknown");
  });

  it.skipIf(!existsSync("/proc/self/stat"))("takes a process that nobody asked about for ended", async () => {
    // While its child runs, the shell becomes a program that asks about no child, so the child stays a zombie.
    const shell = spawn("sh", ["-c", "sleep 0.05 & echo $!; exec sleep 20"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      const zombie = String(await new Promise((resolve) => shell.stdout.once("data", resolve))).trim();
      const state = () => readFile(`/proc/${zombie}/stat`, "utf8");
      while (!/\) Z /.test(await state())) await new Promise((resolve) => setTimeout(resolve, 5));
      expect(stateOf([machine, boot, zombie, "0"].join("-"))).toBe("ended");
    } finally {
      shell.kill("SIGKILL");
    }
  });
});

describe("removeStaleOutputs", () => {
  it("removes what a killed process left, folders and files, and nothing of other outputs", async () => {
    await leave(ENDED);
    await writeFile(temporaryPath(target, "partial", `${ENDED}-11111111`), "half a file");
    const others = [
      ".model.partial-mine",
      ".model",
      `.models.partial-${ENDED}-00000000`,
      "model.partial-old",
    ];
    for (const name of others) await writeFile(join(root, name), "");
    expect(await removeStaleOutputs(target)).toEqual({ running: [], kept: [], restored: false });
    expect((await readdir(root)).toSorted()).toEqual(others.toSorted());
  });

  it("keeps what is being written, and says by which process", async () => {
    const pending = await createPendingFolder(target);
    expect(await removeStaleOutputs(target)).toEqual({
      running: [process.pid],
      kept: [],
      restored: false,
    });
    expect(await readdir(root)).toEqual([basename(pending.path)]);
  });

  it("names what it cannot know about: of another machine, of an older version", async () => {
    const elsewhere = await leave(["00000000", boot, pid, start].join("-"));
    const older = join(root, ".model.partial-3bd0c1a2-8d6c-4a5e-9f00-0123456789ab");
    await mkdir(older);
    const { kept, running } = await removeStaleOutputs(target);
    expect(kept.toSorted()).toEqual([elsewhere, older].toSorted());
    expect(running).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)("leaves what belongs to another user", async () => {
    const path = await leave(ENDED);
    spawnSync("chown", ["-R", "12345", path]);
    expect((await removeStaleOutputs(target)).kept).toEqual([path]);
  });

  it("does not follow a link in the place of a partial folder", async () => {
    const dear = join(root, "dear");
    await mkdir(dear);
    await writeFile(join(dear, "thesis.txt"), "");
    await symlink(dear, temporaryPath(target, "partial", `${ENDED}-00000000`));
    await removeStaleOutputs(target);
    expect(await readdir(dear)).toEqual(["thesis.txt"]);
    expect(await readdir(root)).toEqual(["dear"]);
  });

  it("puts back an output whose replacement was killed before it took the place", async () => {
    await leave(ENDED, "replaced");
    await leave(ENDED);
    expect(await removeStaleOutputs(target)).toMatchObject({ restored: true, kept: [] });
    expect(await readdir(root)).toEqual(["model"]);
    expect(await readFile(join(target, "kvfold.json"), "utf8")).toBe("replaced");
  });

  it("keeps both parts, time and again, where something else stands there by now", async () => {
    const parts = [await leave(ENDED, "replaced"), await leave(ENDED)];
    await mkdir(target);
    await writeFile(join(target, "notes.txt"), "dear to someone");
    for (let turn = 0; turn < 2; turn++) {
      const { restored, kept } = await removeStaleOutputs(target);
      expect({ restored, kept: kept.toSorted() }).toEqual({ restored: false, kept: parts.toSorted() });
    }
    expect(await readdir(target)).toEqual(["notes.txt"]);
  });

  it("removes what was replaced once its replacement is there", async () => {
    await leave(ENDED, "replaced");
    await mkdir(target);
    await writeFile(join(target, "kvfold.json"), "new");
    expect(await removeStaleOutputs(target)).toEqual({ running: [], kept: [], restored: false });
    expect(await readdir(root)).toEqual(["model"]);
  });

  it("looks where a link leads", async () => {
    const real = join(root, "elsewhere", "real");
    await mkdir(dirname(real));
    const path = temporaryPath(real, "partial", `${ENDED}-00000000`);
    await mkdir(path);
    await symlink(real, target);
    await removeStaleOutputs(target);
    expect(await readdir(dirname(real))).toEqual([]);
    expect((await lstat(target)).isSymbolicLink()).toBe(true);
  });

  it("finds nothing where there is no folder yet", async () => {
    expect(await removeStaleOutputs(join(root, "a", "b"))).toEqual({
      running: [],
      kept: [],
      restored: false,
    });
  });
});
