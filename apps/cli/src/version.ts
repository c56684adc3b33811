import { readFileSync } from "node:fs";

/** The version of this package. Its `package.json` lies one folder above both the sources and the build. */
export function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return String((manifest as { readonly version?: unknown }).version);
}
