import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { hashFolder } from "./hash-folder.js";

it("follows links to files and to folders, as reading a model does", async () => {
  const root = await mkdtemp(join(tmpdir(), "kvfold-hash-"));
  onTestFinished(() => rm(root, { recursive: true }));
  const at = (path: string) => join(root, path);
  await mkdir(at("plain/onnx"), { recursive: true });
  await writeFile(at("plain/onnx/model.onnx"), "weights");
  await mkdir(at("files/onnx"), { recursive: true });
  await symlink(at("plain/onnx/model.onnx"), at("files/onnx/model.onnx"));
  await mkdir(at("folders"));
  await symlink(at("plain/onnx"), at("folders/onnx"));
  const hash = await hashFolder(at("plain"));
  expect(await hashFolder(at("files"))).toBe(hash);
  expect(await hashFolder(at("folders"))).toBe(hash);
  expect(await hashFolder(at("plain/"))).toBe(hash);
  await writeFile(at("plain/onnx/model.onnx"), "others");
  expect(await hashFolder(at("files"))).not.toBe(hash);
});
