/**
 * Looks at each published package as npm would have it: what publint finds, however small, and what TypeScript resolves
 * to something else than the runtime does (Are The Types Wrong, for packages of ES modules only). Needs a build.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { problemAffectsResolutionKind, problemKindInfo } from "@arethetypeswrong/core/problems";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { packAll, packedPackage, publishedFolders } from "./packed-packages.mjs";

/** The command's thread for linear algebra, which nobody imports. */
const THREAD = "./block-math-worker";
/** How importers resolve packages of ES modules. @type {readonly import("@arethetypeswrong/core").ResolutionKind[]} */
const resolutions = ["node16-esm", "bundler"];

const packed = mkdtempSync(join(tmpdir(), "kvfold-packed-"));
try {
  packAll(packed);
  for (const folder of publishedFolders) {
    const problems = await problemsOf(readFileSync(packedPackage(folder, packed).tarball));
    for (const problem of problems) process.stderr.write(`${folder}: ${problem}\n`);
    if (problems.length > 0) process.exitCode = 1;
  }
} finally {
  rmSync(packed, { recursive: true });
}

/** @param {Uint8Array} bytes @returns {Promise<readonly string[]>} */
async function problemsOf(bytes) {
  const tarball = /** @type {ArrayBuffer} */ (new Uint8Array(bytes).buffer);
  const { messages, pkg } = await publint({ pack: { tarball }, strict: true });
  const lint = messages.map((message) => formatMessage(message, pkg) ?? message.code);
  return [...lint, ...(await problemsOfTypes(bytes))];
}

/** @param {Uint8Array} tarball @returns {Promise<readonly string[]>} */
async function problemsOfTypes(tarball) {
  const excludeEntrypoints = [THREAD];
  const analysis = await checkPackage(createPackageFromTarballData(tarball), { excludeEntrypoints });
  if (analysis.types === false) return ["it has no types"];
  return analysis.problems
    .filter((problem) => resolutions.some((kind) => problemAffectsResolutionKind(problem, kind, analysis)))
    .map((problem) => `${problemKindInfo[problem.kind].description} (${JSON.stringify(problem)})`);
}
