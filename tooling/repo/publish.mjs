/**
 * Publishes the packages whose versions npm does not have, and tags them: the last step of the workflow Release. npm's provenance
 * wants every package to name the repository that it comes from, which the workflow knows.
 *
 *     node tooling/repo/publish.mjs
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../run/root.mjs";
import { publishedFolders } from "./packed-packages.mjs";
import { withHome } from "./release/with-home.mjs";

const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env;
if (GITHUB_SERVER_URL === undefined || GITHUB_REPOSITORY === undefined) {
  process.stderr.write(
    "publish: GITHUB_SERVER_URL and GITHUB_REPOSITORY name no repository; run it as the workflow does\n",
  );
  process.exit(2);
}
const home = `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}`;
for (const folder of publishedFolders) {
  const path = join(root, folder, "package.json");
  const manifest = withHome(JSON.parse(readFileSync(path, "utf8")), folder, home);
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
}
execFileSync("changeset", ["publish"], { cwd: root, stdio: "inherit" });
