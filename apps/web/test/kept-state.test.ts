/** What the page keeps, opens and deletes, in a storage in memory. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { PreparedModel } from "../src/fold/fold-state.js";
import { MemoryFolder } from "./memory-folder.js";

vi.stubGlobal("document", { baseURI: "http://page.example/" });
const { adoptPrepared, foldedModels, originalModel } = await import("../src/fold/fold-state.js");
const state = await import("../src/storage/kept-state.js");
const { deleteKept, keepPrepared, keptFolders, keptNote, nameOf, openKept } = state;

/** A model whose weights are this text. */
function prepared(label: string, weights: string): PreparedModel {
  const files = new Map([
    ["onnx/model.onnx", new Blob(["graph"])],
    ["onnx/model.onnx_data", new Blob([weights])],
  ]);
  const result = {
    files,
    plan: { keep: label },
    energy: [],
    seconds: 1,
  } as unknown as PreparedModel["result"];
  return { folder: { name: "tiny", files }, label, result };
}

/** Shows a model as if it had been folded just now. */
function show(weights: string): PreparedModel {
  const [original, fold] = [prepared("original", weights), prepared("1/4", `${weights}, folded`)];
  adoptPrepared({ ...original, identity: `of ${weights}` }, fold);
  return fold;
}

const choices = () => keptFolders.value.filter(state.isChoice);
const shownWeights = () => originalModel.value!.result.files.get("onnx/model.onnx_data")!.text();

beforeEach(() => {
  const root = new MemoryFolder();
  vi.stubGlobal("navigator", { storage: { getDirectory: async () => root } });
});

describe("what the page keeps", () => {
  it("opens a fold beside its own original, though another model has the same name", async () => {
    await keepPrepared(show("one"));
    await keepPrepared(show("two"));
    expect(keptNote.value).toBe("tiny, 1/4 is kept in this browser.");
    expect(choices().map(nameOf)).toEqual(["tiny, 1/4", "tiny, 1/4"]);
    const seen = new Set<string>();
    for (const kept of choices()) {
      await openKept(kept);
      const weights = await shownWeights();
      seen.add(weights);
      const folded = foldedModels.value.map(({ result }) => result.files.get("onnx/model.onnx_data")!.text());
      expect(await Promise.all(folded)).toEqual([`${weights}, folded`]);
    }
    expect([...seen].toSorted()).toEqual(["one", "two"]);
  });

  it("deletes an original with the last of its folds", async () => {
    const first = show("one");
    await keepPrepared(first);
    await keepPrepared({ ...first, label: "1/8" });
    expect(keptFolders.value).toHaveLength(3);
    const [eighth, quarter] = choices().toSorted((a, b) => (nameOf(a) < nameOf(b) ? 1 : -1));
    await deleteKept(eighth!);
    expect(keptFolders.value).toHaveLength(2);
    await deleteKept(quarter!);
    expect(keptFolders.value).toEqual([]);
  });

  it("says so where there is no storage", async () => {
    vi.stubGlobal("navigator", {});
    await keepPrepared(show("one"));
    expect(keptNote.value).toContain("no storage for this page");
  });
});
