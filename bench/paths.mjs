/** Where models and texts are, and how scripts read their options. */
import { existsSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import "./help.mjs";

export const repositoryPath = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
export const assetPath = (path) => repositoryPath(`assets/${path}`);

/** The text after `--name`, or `fallback`. */
export function textOption(name, fallback) {
  const index = process.argv.indexOf(`--${name}`);
  return index > 0 ? process.argv[index + 1] : fallback;
}

/** The number after `--name`, or `fallback`. */
export const option = (name, fallback) => Number(textOption(name, fallback));

/** Threads of the CPU that `--threads` asks for; undefined leaves the choice to ONNX Runtime. */
export const threadsOption = () => textOption("threads") && option("threads");

/** `prose-27m` is too large to ship; `--models FOLDER` says where it is. */
export function modelFolder(name) {
  const folders = [textOption("models"), assetPath("models")].filter(Boolean);
  const found = folders.map((folder) => join(folder, name)).find(existsSync);
  if (found !== undefined) return found;
  return fail(
    `${name} was not found in ${folders.join(", ")}; name the folder that holds it with --models FOLDER`,
  );
}

/** A file of the folder that `--texts FOLDER` names; mix-30m's texts are too large to ship. */
export function textFile(name) {
  const folder = textOption("texts") ?? fail("name the folder that holds the texts with --texts FOLDER");
  const path = join(folder, name);
  if (existsSync(path)) return path;
  return fail(`${name} was not found in ${folder}; name the folder that holds it with --texts FOLDER`);
}

/** Ends the script with a message in place of a stack: something is missing that the caller can give. */
export function fail(message) {
  console.error(message);
  process.exit(1);
}

export const machine = () =>
  `${cpus().length} x ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
