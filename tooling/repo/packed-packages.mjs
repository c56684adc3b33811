import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../run/root.mjs";

/** Folders of the packages that are published. @type {readonly string[]} */
export const publishedFolders = [
  ...readdirSync(join(root, "packages")).map((name) => `packages/${name}`),
  "apps/cli",
];

/** Packs all published packages in one process. Needs a build. @param {string} destination */
export function packAll(destination) {
  const filters = publishedFolders.flatMap((folder) => ["--filter", `./${folder}`]);
  const args = ["--recursive", ...filters, "pack", "--pack-destination", destination];
  execFileSync("pnpm", args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
}

/** A package's name, and the file that `packAll` made of it. @param {string} folder @param {string} destination */
export function packedPackage(folder, destination) {
  const { name, version } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
  return { name, tarball: join(destination, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`) };
}
