/**
 * Packs every package as npm would have it, installs the tarballs into an empty project, and uses them there: types, library and
 * command line. Needs a build and the registry.
 *
 *     node tooling/repo/try-release.mjs [VERSION OF onnxruntime-node]
 *
 * CI runs it on each supported version of Node, with the ONNX Runtime for Node that the repository uses and the oldest
 * that the packages take.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "../run/root.mjs";
import { packAll, packedPackage, publishedFolders } from "./packed-packages.mjs";

const [onnxruntime = versionHere("packages/runtime-node", "onnxruntime-node")] = process.argv.slice(2);
const model = join(root, "assets/models/prose-6m");
const project = mkdtempSync(join(tmpdir(), "kvfold-release-"));
try {
  const names = install(project);
  check("types", "node_modules/typescript/bin/tsc", ["-p", "."]);
  check("library", "use.mjs", [model, "folded", ...names]);
  check("command line", "node_modules/kvfold/bin/kvfold.js", ["inspect", "folded"]);
  check("command line, generate", "node_modules/kvfold/bin/kvfold.js", [
    "generate",
    "folded",
    "--prompt",
    "It was",
    "--quiet",
  ]);
} finally {
  rmSync(project, { recursive: true });
}

/** The version of a package that the repository itself uses. @param {string} folder @param {string} name */
function versionHere(folder, name) {
  return JSON.parse(readFileSync(join(root, folder, "node_modules", name, "package.json"), "utf8")).version;
}

/** Makes the project, and returns the names of the packages. @param {string} folder @returns {readonly string[]} */
function install(folder) {
  packAll(folder);
  const packages = publishedFolders.map((published) => packedPackage(published, folder));
  const tarballs = Object.fromEntries(packages.map(({ name, tarball }) => [name, `file:${tarball}`]));
  const manifest = {
    private: true,
    type: "module",
    dependencies: {
      ...tarballs,
      "onnxruntime-node": onnxruntime,
      typescript: versionHere(".", "typescript"),
      "@types/node": versionHere("packages/decoder", "@types/node"),
    },
    // Packages find each other in the registry once they are there.
    overrides: tarballs,
  };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  const compilerOptions = {
    module: "nodenext",
    target: "es2023",
    strict: true,
    noEmit: true,
    types: ["node"],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["use.ts"] }));
  for (const file of ["use.mjs", "use.ts"])
    copyFileSync(fileURLToPath(new URL(`release/${file}`, import.meta.url)), join(folder, file));
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  execFileSync("npm", ["install", ...options], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  return packages.map(({ name }) => name);
}

/** Runs a script of the project. @param {string} what @param {string} script @param {readonly string[]} args */
function check(what, script, args) {
  execFileSync(process.execPath, [script, ...args], { cwd: project, stdio: ["ignore", "ignore", "inherit"] });
  process.stdout.write(`${what}: works on Node ${process.versions.node} with ONNX Runtime ${onnxruntime}\n`);
}
