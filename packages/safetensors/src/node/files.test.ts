import { mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { buildFile } from "../../test/build-file.js";
import { catchError } from "../../test/catch-error.js";
import { checkFinite } from "../check-finite.js";
import { encodeFloats } from "../encode-floats.js";
import { serializeSafetensors } from "../serialize-safetensors.js";
import { fileSource } from "./file-source.js";
import { openSafetensors } from "./open-safetensors.js";
import { type TensorSource, writeSafetensorsFile } from "./write-safetensors-file.js";

const model = fileURLToPath(new URL("../../../../assets/models/prose-6m/model.safetensors", import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvfold-safetensors-"));
});
afterAll(() => rm(folder, { recursive: true }));

const values = Float32Array.of(1, 2, 3);
const bytes = encodeFloats(values, "F32");
const tensorOf = (name: string, data: TensorSource["data"] = () => bytes): TensorSource => ({
  name,
  dtype: "F32",
  shape: [3],
  data,
});

describe("writeSafetensorsFile", () => {
  it("writes the same bytes as in memory", async () => {
    const path = join(folder, "same.safetensors");
    await writeSafetensorsFile(path, [tensorOf("a"), tensorOf("b", async () => bytes)], { by: "test" });
    const layouts = ["a", "b"].map((name) => ({ name, dtype: "F32", shape: [3], data: bytes }) as const);
    expect(new Uint8Array(await readFile(path))).toEqual(serializeSafetensors(layouts, { by: "test" }));
  });

  it("asks for each tensor when the one before is written", async () => {
    const path = join(folder, "lazy.safetensors");
    const sizes: number[] = [];
    const data = async () => {
      const partial = (await readdir(folder)).find((name) => name.startsWith("lazy.safetensors.partial-"));
      sizes.push((await readFile(join(folder, partial!))).byteLength);
      return bytes;
    };
    await writeSafetensorsFile(path, [tensorOf("a", data), tensorOf("b", data), tensorOf("c", data)]);
    expect(sizes.map((size) => size - sizes[0]!)).toEqual([0, 12, 24]);
  });

  it("leaves the old file, and nothing else, when a tensor fails or does not fit", async () => {
    const path = join(folder, "kept.safetensors");
    await writeFile(path, "old");
    const before = await readdir(folder);
    const failing = () => Promise.reject(new Error("no weights"));
    await expect(writeSafetensorsFile(path, [tensorOf("a"), tensorOf("b", failing)])).rejects.toThrow(
      "no weights",
    );
    const short = writeSafetensorsFile(path, [tensorOf("a", () => new Uint8Array(4))]);
    expect((await catchError(() => short)).message).toMatch(/tensor a: expected 12 bytes/);
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(before);
  });

  it("lets two writers of one file finish, each with a partial file of its own", async () => {
    const path = join(folder, "contested.safetensors");
    const writers = 4;
    let waiting = 0;
    let release = () => {};
    const allOpen = new Promise<void>((resolve) => {
      release = resolve;
    });
    const data = async () => {
      if (++waiting === writers) release();
      await allOpen;
      return bytes;
    };
    const write = () => writeSafetensorsFile(path, [tensorOf("a", data)]);
    await Promise.all(Array.from({ length: writers }, write));
    const file = await openSafetensors(path);
    expect(await file.readFloats("a")).toEqual(values);
    await file.close();
    expect((await readdir(folder)).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("fails rather than write to a link, even at the very name that it chooses", async () => {
    const path = join(folder, "foreseen.safetensors");
    const victim = join(folder, "victim");
    await writeFile(victim, "precious");
    const uuid = "01234567-89ab-4cde-8f01-23456789abcd";
    vi.spyOn(crypto, "randomUUID").mockReturnValueOnce(uuid);
    await symlink(victim, `${path}.partial-01234567`);
    await expect(writeSafetensorsFile(path, [tensorOf("a")])).rejects.toMatchObject({ code: "EEXIST" });
    expect(await readFile(victim, "utf8")).toBe("precious");
    await rm(`${path}.partial-01234567`);
  });
});

describe("openSafetensors", () => {
  it("reads back what was written", async () => {
    const path = join(folder, "back.safetensors");
    await writeSafetensorsFile(path, [tensorOf("a")], { by: "test" });
    const file = await openSafetensors(path);
    expect(file.metadata).toEqual({ by: "test" });
    expect(await file.readFloats("a")).toEqual(values);
    expect(await file.readBytes("a")).toEqual(bytes);
    expect((await catchError(() => file.readFloats("b"))).code).toBe("unknown-tensor");
    await file.close();
    await file.close();
    expect((await catchError(() => file.readFloats("a"))).code).toBe("closed");
  });

  it("reads a real model", async () => {
    const file = await openSafetensors(model);
    let bytesRead = file.dataStart;
    for (const { name, start, end } of file.tensors.values()) {
      checkFinite(name, await file.readFloats(name));
      bytesRead += end - start;
    }
    await file.close();
    expect(file.tensors.get("model.embed_tokens.weight")?.dtype).toMatch(/F/);
    expect(bytesRead).toBe((await readFile(model)).byteLength);
  });

  it("names the file that is damaged, and passes on errors of the file system", async () => {
    const path = join(folder, "damaged.safetensors");
    await writeFile(path, "not safetensors");
    const error = await catchError(() => openSafetensors(path));
    expect(error.message).toContain(path);
    await expect(openSafetensors(join(folder, "absent.safetensors"))).rejects.toMatchObject({
      code: "ENOENT",
    });
  });

  it("says of a Git LFS pointer what it is", async () => {
    const path = join(folder, "pointer.safetensors");
    await writeFile(
      path,
      `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 9\n`,
    );
    const { message } = await catchError(() => openSafetensors(path));
    expect(message).toBe(
      `${path}: this is a Git LFS pointer; run git lfs pull in its folder to fetch the file itself`,
    );
  });

  it("reads the other tensors of a file with a dtype that it does not know", async () => {
    const path = join(folder, "unknown-dtype.safetensors");
    const header = {
      scale: { dtype: "F8_E8M0", shape: [2], data_offsets: [0, 2] },
      blocks: { dtype: "F4", shape: [4], data_offsets: [2, 4] },
      w: { dtype: "F32", shape: [1], data_offsets: [4, 8] },
    };
    await writeFile(path, buildFile(JSON.stringify(header), 8));
    const file = await openSafetensors(path);
    expect([...file.tensors.values()].map(({ dtype }) => dtype)).toEqual(["F8_E8M0", "F4", "F32"]);
    expect(await file.readFloats("w")).toEqual(Float32Array.of(0));
    expect(await file.readBytes("scale")).toEqual(new Uint8Array(2));
    const error = await catchError(() => file.readFloats("blocks"));
    expect(error.code).toBe("unsupported-dtype");
    expect(error.message).toMatch(/tensor blocks: expected F32, F16, BF16 or F64, found F4/);
    await file.close();
  });
});

describe("fileSource", () => {
  it("says when a read is larger than any array", async () => {
    const path = join(folder, "sparse");
    await writeFile(path, "");
    await truncate(path, 2 ** 42);
    const source = await fileSource(path);
    const error = await catchError(() => source.read(0, source.byteLength));
    expect(error.code).toBe("limit-exceeded");
    expect(error.message).toMatch(/sparse: .* found 4398046511104 bytes; read it in parts/);
    await source.close();
  });

  it("notices a file that shrinks", async () => {
    const path = join(folder, "shrinks");
    await writeFile(path, new Uint8Array(10));
    const source = await fileSource(path);
    await truncate(path, 4);
    expect((await catchError(() => source.read(0, 10))).message).toMatch(/expected 10 bytes at 0, found 4/);
    expect((await catchError(() => source.read(0, 11))).code).toBe("truncated");
    await source.close();
  });
});
