import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../checkpoint/checkpoint.js";
import { directorySource, readUtf8 } from "./directory-source.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-source-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe("directorySource", () => {
  it("reads text and bytes of files, and says when there are none", async () => {
    await writeFile(join(root, "a.txt"), "größer");
    await mkdir(join(root, "a-folder"));
    const source = await directorySource(root);
    expect(source.name).toBe(root);
    expect(await source.readText("a.txt")).toBe("größer");
    expect([await source.readText("b.txt"), await source.readText("a-folder")]).toEqual([
      undefined,
      undefined,
    ]);
    expect([await source.openBytes("b.txt"), await source.openBytes("a-folder")]).toEqual([
      undefined,
      undefined,
    ]);
    const file = await source.openBytes("a.txt");
    expect(await file!.read(0, 2)).toEqual(new TextEncoder().encode("gr"));
    await file!.close!();
  });

  it("refuses a folder that is not there, and a file", async () => {
    const missing = join(root, "missing");
    await expect(directorySource(missing)).rejects.toThrow(`${missing}: no such directory`);
    const file = join(root, "file");
    await writeFile(file, "");
    await expect(directorySource(file)).rejects.toThrow(
      expect.objectContaining({
        code: "malformed-checkpoint",
        message: `${file}: expected a directory, found a file`,
      }),
    );
  });

  it("tells what cannot be read from what is not there", async () => {
    const folder = await mkdtemp(join(root, "loop-"));
    const loop = join(folder, "config.json");
    await symlink(loop, loop);
    const unreadable = expect.objectContaining({
      code: "unreadable-checkpoint",
      message: expect.stringMatching(/loop-\w+\/config\.json cannot be read \(ELOOP: /),
    });
    const source = await directorySource(folder);
    await expect(source.readText("config.json")).rejects.toThrow(unreadable);
    await expect(source.openBytes("config.json")).rejects.toThrow(unreadable);
    await expect(openCheckpoint(source)).rejects.toThrow(unreadable);
    await expect(directorySource(loop)).rejects.toThrow(unreadable);
  });

  it("makes openCheckpoint refuse an empty folder by name", async () => {
    const empty = await mkdtemp(join(root, "empty-"));
    await expect(openCheckpoint(await directorySource(empty))).rejects.toThrow(
      `${empty}: config.json is missing; is this a Hugging Face checkpoint folder?`,
    );
  });
});

describe("readUtf8", () => {
  it("refuses what is not UTF-8, naming the file and what to do", async () => {
    const path = join(root, "config.json");
    await writeFile(path, Buffer.from([0x7b, 0xff, 0xfe, 0x7d]));
    await expect(readUtf8(path)).rejects.toThrow(
      expect.objectContaining({
        code: "malformed-checkpoint",
        message: expect.stringContaining(`${path} is not UTF-8 text; convert it first`),
      }),
    );
    await expect(openCheckpoint(await directorySource(root))).rejects.toThrow(/config\.json is not UTF-8/);
  });
});
