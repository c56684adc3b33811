import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { catchError } from "../test/catch-error.js";
import { SafetensorsError } from "./safetensors-error.js";
import { parseShardIndex } from "./shard-index.js";

const indexOf = (shard: unknown) => JSON.stringify({ metadata: { total_size: 8 }, weight_map: { w: shard } });

describe("parseShardIndex", () => {
  it("maps tensors to shards, whatever they are called", () => {
    const text =
      '{"weight_map":{"a":"m-00001-of-00002.safetensors","__proto__":"m-00002-of-00002.safetensors"}}';
    expect([...parseShardIndex(text)]).toEqual([
      ["a", "m-00001-of-00002.safetensors"],
      ["__proto__", "m-00002-of-00002.safetensors"],
    ]);
  });

  it.each([
    "../x.safetensors",
    "a/b.safetensors",
    "/etc/x.safetensors",
    "..\\x.safetensors",
    "C:x.safetensors",
    "x.safetensors:stream.safetensors",
    "..safetensors",
    ".hidden.safetensors",
    ".safetensors",
    "x.safetensors\n",
    "x\u0000.safetensors",
    `${"x".repeat(300)}.safetensors`,
    "model.bin",
    "",
    7,
    null,
  ])("refuses the shard %j", async (shard) => {
    const error = await catchError(() => parseShardIndex(indexOf(shard)));
    expect(error.code).toBe("malformed");
    expect(error.message).toMatch(/"w" to lie in a plain file name/);
  });

  it.each(["", "[]", "null", "{}", '{"weight_map":[]}', '{"weight_map":"x"}'])("refuses %j", async (text) => {
    expect((await catchError(() => parseShardIndex(text))).code).toBe("malformed");
  });

  it("says of a Git LFS pointer what it is", async () => {
    const text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
    expect((await catchError(() => parseShardIndex(text))).message).toMatch(
      /is a Git LFS pointer; run git lfs pull/,
    );
  });

  it("survives any text and any JSON", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.jsonValue().map(indexOf)), (text) => {
        try {
          for (const shard of parseShardIndex(text).values()) expect(shard).not.toMatch(/[/\\:]/);
        } catch (error) {
          if (!SafetensorsError.isInstance(error)) throw error;
        }
      }),
    );
  });
});
