import { posix } from "node:path";
import ts from "typescript";
import { readText } from "./workspace";

/** An import as it is written in a source file. */
export interface Import {
  /** Relative to the root. */
  readonly file: string;
  readonly specifier: string;
}

/** Every `import`, `export … from`, `import()` and `import type` of a file; those in comments are none. */
export const readImports = (file: string): Import[] =>
  ts
    .preProcessFile(readText(file), true, true)
    .importedFiles.map(({ fileName }) => ({ file, specifier: fileName }));

/**
 * `@scope/name/path` → `@scope/name`, `name/path` → `name`; `undefined` for a relative path, and for modules of Node
 * (`node:`) and of a bundler's plug-ins (`virtual:`).
 */
export function packageOf(specifier: string): string | undefined {
  if (/^(\.|node:|virtual:)/.test(specifier)) return undefined;
  const parts = specifier.split("/");
  return parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

/** The file that a relative import leads to, if it is one of `files`; `.js` stands for the TypeScript that it is made of. */
export function targetOf({ file, specifier }: Import, files: readonly string[]): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const path = posix.join(posix.dirname(file), specifier).replace(/\.[jt]sx?$/, "");
  return files.find((candidate) => candidate.replace(/\.tsx?$/, "") === path);
}

/** The folder in `src` that a source file lies in: `plan` for `packages/a/src/plan/keep.ts`, `undefined` for those beside. */
export const folderOf = (file: string): string | undefined => /\/src\/([^/]+)\//.exec(file)?.[1];

/** Whether a source file belongs to the Node part of its package: `src/node*.ts` or `src/node/`. */
export const isNodeFile = (file: string): boolean => /\/src\/node([^/]*\.ts$|\/)/.test(file);

/** Whether an import reaches the Node part of the importing file's own package. */
export const reachesNodeFile = ({ file, specifier }: Import): boolean =>
  specifier.startsWith(".") &&
  isNodeFile(`${posix.join(posix.dirname(file), specifier).replace(/\.ts$/, "")}.ts`);
