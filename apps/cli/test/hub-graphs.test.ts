/** Repositories of a Hub that hold ONNX graphs and no checkpoint, as those of onnx-community. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportOptimum } from "../../../packages/decoder/test/exporters/optimum.js";
import { familyFolder, openFamily } from "../../../packages/decoder/test/support/families.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { type JobContext, quietContext } from "../src/jobs/job.js";
import { findModel } from "../src/models/find-model.js";
import { COMMIT, MODEL, startHub, type TestHub } from "./hub-server.js";
import { failureOf, makeFolder, removeFolder } from "./support.js";

const FAMILY = "qwen3";
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

let root: string;
let hub: TestHub;
let files: ReadonlyMap<string, Uint8Array>;
/** In the folder of the graphs. */
let weightFiles: readonly string[];
beforeAll(async () => {
  root = await makeFolder();
  const { bytes: graph, externalData = [] } = await exportOptimum(await openFamily(FAMILY));
  const data = externalData.map(
    ({ path, data }) => [`onnx/${path}`, new Uint8Array(data as Uint8Array)] as const,
  );
  weightFiles = externalData.map(({ path }) => path);
  files = new Map([
    ["config.json", new Uint8Array(await readFile(join(familyFolder(FAMILY), "config.json")))],
    ["README.md", bytes("---\nlicense: mit\n---\n")],
    ["onnx/model_fp16.onnx", bytes("less exact, and no graph")],
    ["onnx/model.onnx", graph],
    ...data,
    ["onnx/other.onnx", graph],
    ["onnx/notes.txt", bytes("not needed")],
  ]);
  hub = await startHub(files);
});
afterAll(async () => {
  await hub.close();
  await removeFolder(root);
});

function fetching(cache: string) {
  const notices: string[] = [];
  const context: JobContext = { ...quietContext, onNotice: (text) => void notices.push(text) };
  const settings = { hubUrl: hub.url, cacheFolder: join(root, cache) };
  return { settings, context, notices, find: (name: string) => findModel(name, settings, context) };
}

async function startsWith(
  changed: ReadonlyMap<string, Uint8Array>,
  work: () => Promise<void>,
): Promise<void> {
  hub.files = changed;
  try {
    await work();
  } finally {
    hub.files = files;
  }
}
const without = (name: string) => new Map([...files].filter(([file]) => file !== name));

describe("a repository without safetensors", () => {
  it("is fetched with its most exact graph and the weights beside it, which is said", async () => {
    const { find, notices } = fetching("whole");
    const { path, title } = await find(MODEL);
    expect(title).toBe(`${MODEL}@${COMMIT}`);
    expect((await readdir(path)).toSorted()).toEqual(["README.md", "config.json", "onnx"]);
    const graphs = await readdir(join(path, "onnx"));
    expect(graphs.toSorted()).toEqual(["model.onnx", ...weightFiles].toSorted());
    expect(notices).toEqual([
      `${MODEL} has no safetensors: using onnx/model.onnx; name another one as ${MODEL}/onnx/model_fp16.onnx (also there: onnx/model_fp16.onnx, onnx/other.onnx)`,
    ]);
    hub.log.length = 0;
    await find(MODEL);
    expect(hub.log).toEqual(["model"]);
  });

  it("is folded as its checkpoint would be", async () => {
    const { settings, context } = fetching("whole");
    const options = { keep: "1/2", method: "svd-w" } as const;
    await foldCheckpoint({ ...options, model: MODEL, hub: settings, output: join(root, "graph") }, context);
    const checkpoint = { ...options, model: familyFolder(FAMILY), output: join(root, "checkpoint") };
    await foldCheckpoint(checkpoint, quietContext);
    const weights = (name: string) => readFile(join(root, name, "onnx/model.onnx_data"));
    expect((await weights("graph")).equals(await weights("checkpoint"))).toBe(true);
    const card = await readFile(join(root, "graph/README.md"), "utf8");
    expect(card).toContain(`base_model: "${MODEL}"`);
    expect(card).toContain('license: "mit"');
  });

  it("gives the graph that is named, whatever else is there", async () => {
    const { find, notices } = fetching("named");
    const { path } = await find(`${MODEL}/onnx/other.onnx`);
    expect(path.endsWith(join(COMMIT, "onnx", "other.onnx"))).toBe(true);
    expect((await readdir(join(path, ".."))).toSorted()).toEqual(["other.onnx", ...weightFiles].toSorted());
    expect(notices).toEqual([]);
    // The whole is another thing, and was not fetched with it.
    expect(await readdir(join((await find(MODEL)).path, "onnx"))).toContain("model.onnx");
    expect(await failureOf(find(`${MODEL}/onnx/none.onnx`))).toMatchObject({
      code: "not-found",
      message: expect.stringContaining(
        "there is onnx/model_fp16.onnx, onnx/model.onnx, onnx/other.onnx",
      ) as string,
    });
    expect(await failureOf(find(`${MODEL}/onnx/model_fp16.onnx`))).toMatchObject({ code: "malformed-file" });
  });

  it("needs a config, the weights of its graph, and a graph that is known", async () => {
    await startsWith(without("config.json"), async () => {
      expect(await failureOf(fetching("config").find(MODEL))).toMatchObject({
        code: "unsupported-model",
        message: expect.stringMatching(
          /no config.json, which says what onnx\/model.onnx computes.*copy config.json/,
        ) as string,
      });
    });
    const data = `onnx/${weightFiles[0]!}`;
    await startsWith(without(data), async () => {
      expect(await failureOf(fetching("data").find(MODEL))).toMatchObject({
        code: "malformed-checkpoint",
        message: `${MODEL}: onnx/model.onnx needs ${data}, which is not there`,
      });
    });
    const unknown = new Map([
      ["config.json", files.get("config.json")!],
      ["onnx/decoder.onnx", bytes("")],
    ]);
    await startsWith(unknown, async () => {
      expect(await failureOf(fetching("unknown").find(MODEL))).toMatchObject({
        code: "unsupported-model",
        message: expect.stringContaining(`as ${MODEL}/onnx/decoder.onnx`) as string,
      });
    });
  });
});
