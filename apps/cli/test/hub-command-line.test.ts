/** A model of a Hub, as users fold it. Skipped where there is no build. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isBuilt, main, outcomeOf, start } from "./command.js";
import { COMMIT, MODEL, startHub, type TestHub, TOKEN } from "./hub-server.js";
import { makeFolder, ROPE_MODEL, removeFolder } from "./support.js";

const WEIGHTS = "model.safetensors";

describe.skipIf(!isBuilt)("kvfold with a model of a Hub", () => {
  let hub: TestHub;
  let folder: string;

  beforeAll(async () => {
    const names = await readdir(ROPE_MODEL);
    const read = async (name: string) =>
      [name, new Uint8Array(await readFile(join(ROPE_MODEL, name)))] as const;
    hub = await startHub(new Map(await Promise.all(names.map(read))));
    folder = await makeFolder();
  });
  afterAll(async () => {
    await hub.close();
    await removeFolder(folder);
  });

  const kvfold = ([name, ...args]: readonly string[], environment: NodeJS.ProcessEnv = {}) => {
    const all = [main, name!, "--cache-dir", join(folder, "cache"), ...args];
    return start(process.execPath, all, folder, { HF_ENDPOINT: hub.url, HF_TOKEN: "", ...environment });
  };
  const output = () => join(folder, "half");
  const fold = () => ["fold", MODEL, "-o", output(), "--keep", "1/2", "--method", "svd-w"];

  it("says that a gated one takes a token", async () => {
    hub.access = "gated";
    const { code, stderr } = await outcomeOf(kvfold([...fold(), "--json"]));
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: "access-denied" } });
  });

  it("is interrupted while it comes, and keeps what came", async () => {
    hub.silentAfter = 2_000_000;
    const child = kvfold(fold(), { HF_TOKEN: TOKEN });
    const outcome = outcomeOf(child);
    while (!hub.log.some((line) => line.startsWith(WEIGHTS))) await wait(20);
    await wait(300);
    child.kill("SIGINT");
    const { code, stderr } = await outcome;
    expect(code).toBe(130);
    expect(stderr).toContain(
      `interrupted; the part of ${MODEL} that arrived is kept, continue with the same command`,
    );
    expect(existsSync(output())).toBe(false);
  });

  it("is fetched from there on, and folded", async () => {
    hub.silentAfter = undefined;
    hub.log.length = 0;
    const { code, stderr } = await outcomeOf(kvfold([...fold(), "--token", TOKEN]));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(hub.log).toContainEqual(expect.stringMatching(/^model\.safetensors [1-9]\d*-$/));
    const record = JSON.parse(await readFile(join(output(), "kvfold.json"), "utf8")) as object;
    expect(record).toMatchObject({ model: `${MODEL}@${COMMIT}` });
    expect(JSON.stringify(record)).not.toContain(TOKEN);
    expect(await readdir(output())).toContain("tokenizer.json");
  });

  it("may come to two processes at once", async () => {
    hub.log.length = 0;
    const args = ["inspect", MODEL, "--cache-dir", join(folder, "other"), "--token", TOKEN, "--json"];
    const outcomes = await Promise.all([args, args].map((all) => outcomeOf(kvfold(all))));
    for (const { code, stdout } of outcomes) {
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ path: MODEL, layers: 6 });
    }
    expect(hub.log.some((line) => line.startsWith(WEIGHTS))).toBe(true);
  });

  it("needs no network any more, and says so", async () => {
    await hub.close();
    const { code, stdout, stderr } = await outcomeOf(kvfold(["inspect", MODEL, "--json"]));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ path: MODEL, kind: "checkpoint", layers: 6 });
    expect(stderr).toMatch(/^using someone\/tiny-model as it was fetched before .*ECONNREFUSED/);
    const pinned = await outcomeOf(kvfold(["inspect", `${MODEL}@${COMMIT}`, "--json"]));
    expect(pinned).toMatchObject({ code: 0, stderr: "" });
  });
});
