import { readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { tinyLlama } from "../../../packages/decoder/test/reference/synthetic-checkpoint.js";
import { fetchModel } from "../src/hub/fetch-model.js";
import { quietContext } from "../src/jobs/job.js";
import { MODEL, startHub } from "./hub-server.js";
import { failureOf, temporaryFolder } from "./support.js";

it.skipIf(process.platform === "win32")(
  "a download follows no link in a cache that others write to",
  async () => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    const hub = await startHub(
      new Map([
        ["config.json", bytes(JSON.stringify(tinyLlama))],
        ["tokenizer.json", bytes("{}")],
        ["model.safetensors", bytes("weights")],
      ]),
    );
    const cacheFolder = await temporaryFolder();
    const fetching = () =>
      fetchModel({ repository: MODEL, revision: undefined }, { hubUrl: hub.url, cacheFolder }, quietContext);
    const { folder } = await fetching();
    const victim = join(cacheFolder, "victim");
    await writeFile(victim, "");
    await rm(join(folder, "tokenizer.json"));
    await symlink(victim, join(folder, ".tokenizer.json.partial"));
    expect((await failureOf(fetching())).message).toMatch(/ELOOP.*\.tokenizer\.json\.partial/);
    expect(await readFile(victim, "utf8")).toBe("");
    await hub.close();
  },
);
