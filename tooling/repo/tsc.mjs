/**
 * The type checker: TypeScript 7's compiler, five times as fast as the 5.9 whose programming interface the bundler and
 * the repository's own tests use. Both call their program `tsc`, so this one is named by its place.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const home = dirname(createRequire(import.meta.url).resolve("typescript70/package.json"));
await import(pathToFileURL(join(home, "bin/tsc")).href);
