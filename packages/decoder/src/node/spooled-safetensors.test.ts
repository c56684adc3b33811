import { mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSafetensors } from "@kvfold/safetensors/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { spooledSafetensors } from "./spooled-safetensors.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-spool-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe("spooledSafetensors", () => {
  it.each(["F32", "F16"] as const)("writes tensors that came one at a time as %s", async (dtype) => {
    const path = join(root, "model.safetensors");
    const sink = await spooledSafetensors(path, dtype);
    await sink.add({ name: "b", shape: [2, 2], data: Float32Array.of(1, 2, 3, 0.5) });
    await sink.add({ name: "a", shape: [1], data: Float32Array.of(-4) });
    expect(await readdir(root)).not.toContain("model.safetensors");
    await sink.finish();
    expect(await readdir(root)).toEqual(["model.safetensors"]);
    const file = await openSafetensors(path);
    expect(file.metadata).toEqual({ format: "pt" });
    expect([file.tensors.get("b")?.dtype, file.tensors.get("b")?.shape]).toEqual([dtype, [2, 2]]);
    expect([...(await file.readFloats("b"))]).toEqual([1, 2, 3, 0.5]);
    expect([...(await file.readFloats("a"))]).toEqual([-4]);
    await file.close();
  });

  it("names the tensor that float16 cannot hold", async () => {
    const sink = await spooledSafetensors(join(root, "model.safetensors"), "F16");
    const adding = sink.add({ name: "up_proj.weight", shape: [1], data: Float32Array.of(1e5) });
    await expect(adding).rejects.toThrow(/tensor up_proj\.weight: .* 65504, .* found 100000 at index 0/);
    await sink.abandon();
  });

  it("fails, rather than wait for ever, when the spool was cut short", async () => {
    const path = join(root, "model.safetensors");
    const sink = await spooledSafetensors(path, "F32");
    await sink.add({ name: "a", shape: [4], data: Float32Array.of(1, 2, 3, 4) });
    await truncate(`${path}.spool`, 10);
    await expect(sink.finish()).rejects.toThrow(/model\.safetensors\.spool: expected 131088 bytes, found 10/);
    await sink.abandon();
    expect(await readdir(root)).toEqual([]);
  });

  it("copies the tensors after a header that is longer than its room", async () => {
    const path = join(root, "model.safetensors");
    const sink = await spooledSafetensors(path, "F32");
    const names = Array.from({ length: 300 }, (_, index) => `${"layers.".repeat(60)}${index}`);
    for (const [index, name] of names.entries())
      await sink.add({ name, shape: [1], data: Float32Array.of(index) });
    await sink.finish();
    expect(await readdir(root)).toEqual(["model.safetensors"]);
    const file = await openSafetensors(path);
    expect(file.metadata).toEqual({ format: "pt" });
    expect([...(await file.readFloats(names[299]!))]).toEqual([299]);
    await file.close();
  });

  it("leaves nothing behind when it is abandoned", async () => {
    const sink = await spooledSafetensors(join(root, "model.safetensors"), "F32");
    await sink.add({ name: "a", shape: [1], data: Float32Array.of(-4) });
    await sink.abandon();
    expect(await readdir(root)).toEqual([]);
  });
});
