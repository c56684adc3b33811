import { RuntimeError } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { keepConversation, restoreConversation } from "./conversations.js";

/** A model whose caches outlive it, as those of a browser do. */
function modelOver(kept: Map<string, readonly number[]>, read: readonly number[] = []) {
  return {
    cacheKind: "delta" as const,
    saveCache: async (name: string) => void kept.set(name, read),
    loadCache: async (name: string) => {
      const tokens = kept.get(name);
      if (tokens === undefined) throw new RuntimeError("cache-unreadable", "none");
      return tokens;
    },
  };
}

describe("conversations", () => {
  it("go on with another model of the same kind, as after a reload", async () => {
    const kept = new Map<string, readonly number[]>();
    await keepConversation(modelOver(kept, [1, 2, 3]), "prose, original");
    expect(await restoreConversation(modelOver(kept), "prose, original")).toEqual([1, 2, 3]);
    expect(await restoreConversation(modelOver(kept), "prose, 1/4")).toEqual([]);
  });

  it("are neither kept nor looked for where the cache lies on a GPU", async () => {
    const unsupported = async (): Promise<never> => {
      throw new RuntimeError("unsupported-model", "on a GPU");
    };
    const model = { cacheKind: "in-place" as const, saveCache: unsupported, loadCache: unsupported };
    await keepConversation(model, "prose");
    expect(await restoreConversation(model, "prose")).toEqual([]);
  });

  it("do not hide other failures", async () => {
    const loadCache = async (): Promise<never> => {
      throw new RuntimeError("busy", "in use");
    };
    const model = { ...modelOver(new Map()), loadCache };
    await expect(restoreConversation(model, "prose")).rejects.toThrow("in use");
  });
});
