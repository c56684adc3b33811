/** A Hub on this machine with one model, whatever name it is asked for by: enough of the API for `kvfold fold owner/name`. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { COMMIT, hubModel } from "../../testing/hub-model.mjs";
import { listen } from "../../testing/listen.mjs";

/** @param {string} folder */
export function startHub(folder) {
  const files = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
  return listen(({ url = "/", headers }, response) => {
    const { pathname } = new URL(url, "http://hub");
    const [, name, api, path = ""] =
      /^\/(?:api\/models\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\/[^/]+(?:\/(.*))?$/.exec(pathname) ?? [];
    const json = (/** @type {unknown} */ body) =>
      response.setHeader("content-type", "application/json").end(JSON.stringify(body));
    if (api === "revision") return json(hubModel(/** @type {string} */ (name)));
    if (api === "tree")
      return json(
        [...files].map(([path, { byteLength: size }]) => ({ type: "file", path, size, oid: COMMIT })),
      );
    const bytes = files.get(path);
    if (bytes === undefined) return response.writeHead(404, { "x-error-code": "EntryNotFound" }).end("{}");
    const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
    const end = last === "" ? bytes.byteLength : Math.min(Number(last) + 1, bytes.byteLength);
    const range = { "content-range": `bytes ${first}-${end - 1}/${bytes.byteLength}` };
    response.writeHead(headers.range === undefined ? 200 : 206, {
      etag: `"${path}"`,
      "content-length": end - Number(first),
      ...(headers.range === undefined ? {} : range),
    });
    return response.end(bytes.subarray(Number(first), end));
  });
}
