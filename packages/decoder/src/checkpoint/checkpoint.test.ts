import { bytesSource, decodeFloats, encodeFloats, serializeSafetensors } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import {
  type Files,
  memoryFolder,
  type syntheticFiles,
  tinyLlama,
  syntheticFiles as write,
} from "../../test/reference/synthetic-checkpoint.js";
import { type FolderSource, openCheckpoint, type TensorPiece } from "./checkpoint.js";

const NORM = "model.norm.weight";

function tiny(change: (files: Files) => void, options: Partial<syntheticFiles.Options> = {}): Files {
  const files = write({ config: tinyLlama, ...options });
  change(files);
  return files;
}

const open = (files: Files) => openCheckpoint(memoryFolder(files));

const refusal = (message: RegExp) =>
  expect.objectContaining({ code: "malformed-checkpoint", message: expect.stringMatching(message) });

/** A checkpoint of one tensor. */
const single = (values: readonly number[]): Files =>
  tiny((files) =>
    files.set(
      "model.safetensors",
      serializeSafetensors([
        {
          name: NORM,
          dtype: "F32",
          shape: [values.length],
          data: encodeFloats(Float32Array.from(values), "F32"),
        },
      ]),
    ),
  );

describe("openCheckpoint", () => {
  it("reads tensors of one file or of shards alike", async () => {
    const whole = await open(write({ config: tinyLlama }));
    const sharded = await open(write({ config: tinyLlama, shards: 3 }));
    expect(await sharded.read(NORM, [32])).toEqual(await whole.read(NORM, [32]));
    expect([whole.has(NORM), whole.has("model.norm.bias")]).toEqual([true, false]);
    expect(whole.name).toBe("memory");
  });

  it("reads headers only until a tensor is asked for", async () => {
    const files = write({ config: tinyLlama });
    const folder = countingFolder(files);
    const checkpoint = await openCheckpoint(folder);
    const headerBytes = new DataView((files.get("model.safetensors") as Uint8Array).buffer).getUint32(
      0,
      true,
    );
    expect(folder.bytesRead()).toBe(8 + headerBytes);
    await checkpoint.read(NORM, [32]);
    expect(folder.bytesRead()).toBe(8 + headerBytes + 4 * 32);
  });

  it("hands out every byte of each tensor, large ones in pieces", async () => {
    const wide = { vocab_size: 70_000, num_hidden_layers: 1 };
    const checkpoint = await open(write({ config: { ...tinyLlama, ...wide }, shards: 2 }));
    const pieces: TensorPiece[] = [];
    for await (const piece of checkpoint.contents()) pieces.push(piece);
    const norm = pieces.filter(({ name }) => name === NORM);
    expect(norm).toMatchObject([{ dtype: "F32", shape: [32], offset: 0 }]);
    expect(decodeFloats(norm[0]!.bytes, "F32")).toEqual(await checkpoint.read(NORM, [32]));
    const table = pieces.filter(({ name }) => name === "model.embed_tokens.weight");
    // 70 000 rows of 32 numbers are 8 MiB and a rest.
    expect(table.map(({ offset, bytes }) => [offset, bytes.length])).toEqual([
      [0, 2 ** 23],
      [2 ** 23, 4 * 32 * 70_000 - 2 ** 23],
    ]);
    expect(pieces.every(({ name }) => checkpoint.has(name))).toBe(true);
  });

  it("closes its files", async () => {
    const folder = countingFolder(write({ config: tinyLlama, shards: 2 }));
    const checkpoint = await openCheckpoint(folder);
    expect(folder.openFiles()).toBe(2);
    await checkpoint.close();
    expect(folder.openFiles()).toBe(0);
  });

  it("closes what it opened when a later shard is missing", async () => {
    const folder = countingFolder(
      tiny((files) => files.delete("model-00002-of-00002.safetensors"), { shards: 2 }),
    );
    await expect(openCheckpoint(folder)).rejects.toThrow(refusal(/00002-of-00002\.safetensors is missing/));
    expect(folder.openFiles()).toBe(0);
  });
});

describe("a tensor that lies in two shards", () => {
  it.each([1, 2])("is read from shard %i where the index says so", async (shard) => {
    const files = write({ config: tinyLlama, shards: 2 });
    const name = (index: number) => `model-0000${index}-of-00002.safetensors`;
    // Both shards have all tensors; those of the second belong to another model.
    const whole = (seed: number) => write({ config: tinyLlama, seed }).get("model.safetensors")!;
    files.set(name(1), whole(1)).set(name(2), whole(2));
    const index = JSON.parse(files.get("model.safetensors.index.json") as string);
    index.weight_map[NORM] = name(shard);
    files.set("model.safetensors.index.json", JSON.stringify(index));
    const expected = await open(write({ config: tinyLlama, seed: shard }));
    expect(await (await open(files)).read(NORM, [32])).toEqual(await expected.read(NORM, [32]));
  });
});

describe("openCheckpoint says that a checkpoint cannot be read, not that it is malformed, when", () => {
  const failure = Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
  const fail = () => Promise.reject(failure);
  const files = write({ config: tinyLlama });
  const folder = memoryFolder(files);
  const unreadable = (file: string) =>
    expect.objectContaining({
      code: "unreadable-checkpoint",
      message: `memory/${file}: EIO: i/o error, read`,
      cause: failure,
    });

  it("config.json cannot be read", async () => {
    await expect(openCheckpoint({ ...folder, readText: fail })).rejects.toThrow(unreadable("config.json"));
  });

  it("weights cannot be opened", async () => {
    await expect(openCheckpoint({ ...folder, openBytes: fail })).rejects.toThrow(
      unreadable("model.safetensors"),
    );
  });

  it("the disk fails, while headers are read and later", async () => {
    let reads = 0;
    const openBytes = async (file: string) => {
      const source = (await folder.openBytes(file))!;
      return {
        ...source,
        read: (start: number, end: number) => (reads-- > 0 ? source.read(start, end) : fail()),
      };
    };
    await expect(openCheckpoint({ ...folder, openBytes })).rejects.toThrow(unreadable("model.safetensors"));
    reads = 2;
    const checkpoint = await openCheckpoint({ ...folder, openBytes });
    await expect(checkpoint.read(NORM, [32])).rejects.toThrow(unreadable("model.safetensors"));
  });
});

describe("openCheckpoint refuses", () => {
  const broken: readonly [name: string, files: Files, message: RegExp][] = [
    [
      "a folder without config.json",
      tiny((files) => files.delete("config.json")),
      /memory: config\.json is missing; is this a Hugging Face checkpoint folder/,
    ],
    [
      "a folder without weights",
      tiny((files) => files.delete("model.safetensors")),
      /memory: model\.safetensors is missing; download all shards/,
    ],
    [
      "a truncated file",
      tiny((files) => {
        const bytes = files.get("model.safetensors") as Uint8Array;
        files.set("model.safetensors", bytes.subarray(0, bytes.byteLength - 1));
      }),
      /memory\/model\.safetensors: /,
    ],
    [
      "a file of text",
      tiny((files) => files.set("model.safetensors", new TextEncoder().encode("version https://git-lfs"))),
      /memory\/model\.safetensors: /,
    ],
    [
      "an index that is no JSON",
      tiny((files) => files.set("model.safetensors.index.json", "{")),
      /memory\/model\.safetensors\.index\.json: /,
    ],
    [
      "an index that leaves its folder",
      tiny((files) =>
        files.set("model.safetensors.index.json", JSON.stringify({ weight_map: { w: "../x.safetensors" } })),
      ),
      /memory\/model\.safetensors\.index\.json: .*\.\.\/x\.safetensors/,
    ],
  ];
  it.each(broken)("%s", async (_, files, message) => {
    await expect(open(files)).rejects.toThrow(refusal(message));
  });
});

describe("read refuses", () => {
  it("a tensor of another shape, naming both", async () => {
    const checkpoint = await open(single([1, 2, 3]));
    await expect(checkpoint.read(NORM, [32])).rejects.toThrow(
      refusal(
        /memory\/model\.safetensors: model\.norm\.weight has shape \[3\], but config\.json asks for \[32\]/,
      ),
    );
    await expect(checkpoint.read(NORM, [3, 1])).rejects.toThrow(refusal(/asks for \[3, 1\]/));
  });

  it("a tensor that is not there", async () => {
    const checkpoint = await open(single([1]));
    await expect(checkpoint.read("lm_head.weight", [1])).rejects.toThrow(
      refusal(/memory: tensor lm_head\.weight is missing; the checkpoint does not fit its config\.json/),
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("%s, naming file, tensor and place", async (value) => {
    const checkpoint = await open(single([1, value, 3]));
    await expect(checkpoint.read(NORM, [3])).rejects.toThrow(
      refusal(new RegExp(`memory/model\\.safetensors: .*${NORM}.*${value} at index 1`)),
    );
  });
});

/** A folder that counts the bytes read from it and the files that are open. */
function countingFolder(files: Files): FolderSource & { bytesRead(): number; openFiles(): number } {
  let bytesRead = 0;
  let openFiles = 0;
  return {
    ...memoryFolder(files),
    bytesRead: () => bytesRead,
    openFiles: () => openFiles,
    openBytes: async (file) => {
      const bytes = files.get(file) as Uint8Array | undefined;
      if (bytes === undefined) return undefined;
      openFiles++;
      const source = bytesSource(bytes);
      return {
        byteLength: source.byteLength,
        read: (start, end) => {
          bytesRead += end - start;
          return source.read(start, end);
        },
        close: async () => {
          openFiles--;
        },
      };
    },
  };
}
