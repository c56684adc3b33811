import { afterEach, expect, it } from "vitest";
import { disk, MemoryFolder } from "../../test/memory-folder.js";
import {
  deleteFolder,
  type Folder,
  finishFolder,
  keepFolder,
  listFolders,
  openFolder,
  readFolder,
  writeFile,
} from "./kept-folders.js";

const storage = (): Folder => new MemoryFolder() as unknown as Folder;
const record = { kind: "checkpoint", model: "someone/tiny", commit: "0123" } as const;
const files = new Map([
  ["config.json", new Blob(["{}"])],
  ["onnx/model.onnx", new Blob(["graph"])],
]);
const ID = "someone/tiny@0123";

afterEach(() => {
  disk.quota = Number.POSITIVE_INFINITY;
});

it("gives files back as they were, and deletes them", async () => {
  const folder = storage();
  await keepFolder(folder, ID, record, files);
  expect(await listFolders(folder)).toMatchObject([{ id: ID, record }]);
  const kept = await readFolder(folder, ID);
  expect([...kept.keys()].toSorted()).toEqual([...files.keys()]);
  expect(await kept.get("onnx/model.onnx")!.text()).toBe("graph");
  await deleteFolder(folder, ID);
  await deleteFolder(folder, ID);
  expect(await listFolders(folder)).toEqual([]);
  expect((await readFolder(folder, ID)).size).toBe(0);
});

it("says of a folder that it is incomplete, also while it is written again", async () => {
  const folder = storage();
  const kindOf = async () => (await listFolders(folder)).map(({ record }) => record.kind);
  const incoming = await openFolder(folder, ID);
  expect(await kindOf()).toEqual([]);
  await writeFile(incoming, "config.json", new Blob(["{}"]).stream());
  expect(await kindOf()).toEqual(["incomplete"]);
  await finishFolder(incoming, record);
  expect(await kindOf()).toEqual(["checkpoint"]);
  await openFolder(folder, ID);
  expect(await kindOf()).toEqual(["incomplete"]);
});

it("leaves nothing of a folder that does not fit", async () => {
  const folder = storage();
  disk.quota = 3;
  await expect(keepFolder(folder, ID, record, files)).rejects.toThrow("no room for onnx/model.onnx");
  expect((await readFolder(folder, ID)).size).toBe(0);
});

it("leaves no part of a file whose bytes stop coming", async () => {
  const incoming = await openFolder(storage(), ID);
  const broken = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => controller.enqueue(new Uint8Array(3)),
    pull: (controller) => controller.error(new TypeError("network error")),
  });
  await expect(writeFile(incoming, "model.safetensors", broken)).rejects.toThrow("network error");
  expect([...(await readFolder(incoming, "")).keys()]).toEqual([]);
  for await (const [name] of incoming.entries()) expect(name).toBe("nothing");
});
