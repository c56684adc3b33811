/** A package registry on this machine that has the packages as they would be published; it sends npm elsewhere for all others. */
import { execFileSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { listen } from "../../testing/listen.mjs";
import { packAll, packedPackage, publishedFolders } from "../packed-packages.mjs";

/**
 * Packs everything into a folder and serves it.
 *
 * @param {string} folder
 * @param {string} upstream The registry of all other packages.
 */
export function startRegistry(folder, upstream) {
  packAll(folder);
  const packages = new Map(
    publishedFolders.map((published) => {
      const { name, tarball } = packedPackage(published, folder);
      const manifest = JSON.parse(
        execFileSync("tar", ["-xzOf", tarball, "package/package.json"], { encoding: "utf8" }),
      );
      return [name, { tarball, manifest }];
    }),
  );
  return listen((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://registry").pathname.slice(1));
    const file = [...packages.values()].find(({ tarball }) => path === `-/${basename(tarball)}`);
    if (file !== undefined) return createReadStream(file.tarball).pipe(response);
    const found = packages.get(path);
    if (found === undefined)
      return response.writeHead(302, { location: new URL(request.url ?? "/", upstream).href }).end();
    const { manifest, tarball } = found;
    const dist = { tarball: `http://${request.headers.host}/-/${basename(tarball)}` };
    const { name, version } = manifest;
    response.setHeader("content-type", "application/json");
    return response.end(
      JSON.stringify({
        name,
        "dist-tags": { latest: version },
        versions: { [version]: { ...manifest, dist } },
      }),
    );
  });
}
