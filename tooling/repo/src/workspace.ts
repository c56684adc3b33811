import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of the whole workspace. */
export const root: string = fileURLToPath(new URL("../../../", import.meta.url));

/** What the checks read of a `package.json`. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly description?: string;
  readonly license?: string;
  readonly keywords?: readonly string[];
  readonly homepage?: string;
  readonly bugs?: string | { readonly url: string };
  readonly repository?: { readonly type: string; readonly url: string; readonly directory: string };
  readonly type?: string;
  readonly sideEffects?: boolean;
  readonly files?: readonly string[];
  readonly engines?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** A folder of the workspace that has a `package.json`. */
export interface Workspace {
  /** Relative to the root, such as `packages/rope`. */
  readonly folder: string;
  readonly manifest: Manifest;
}

/** The libraries under `packages/`. */
export const packages: readonly Workspace[] = readWorkspaces("packages");

/** The programs under `apps/`. */
export const apps: readonly Workspace[] = readWorkspaces("apps");

/** Text of a file by its path relative to the root. */
export function readText(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** Paths, relative to the root, of the files below a folder whose name ends so; none for a folder that is not there. */
function listFiles(folder: string, ending: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .toSorted();
}

/** The TypeScript of a workspace that is published or bundled: neither tests nor benchmarks. */
export const listSources = ({ folder }: Workspace): string[] =>
  [".ts", ".tsx"]
    .flatMap((ending) => listFiles(`${folder}/src`, ending))
    .filter((path) => !/\.(test|test-d|bench)\.tsx?$/.test(path));

/** The sources that a package's `exports` lead to. */
export const listEntryPoints = ({ folder, manifest }: Workspace): string[] =>
  Object.values(manifest.exports ?? {})
    .flatMap((target) => (typeof target === "string" ? [] : [target["@kvfold/source"] ?? ""]))
    .filter((path) => path !== "")
    .map((path) => `${folder}/${path.replace(/^\.\//, "")}`);

/** The documents of a package that hold examples: its README, if there is one yet, and its sources. */
export function listDocuments(workspace: Workspace): string[] {
  const readme = `${workspace.folder}/README.md`;
  return [...(existsSync(join(root, readme)) ? [readme] : []), ...listSources(workspace)];
}

function readWorkspaces(parent: string): Workspace[] {
  return readdirSync(join(root, parent))
    .map((name) => `${parent}/${name}`)
    .filter((folder) => existsSync(join(root, folder, "package.json")))
    .map((folder) => ({ folder, manifest: JSON.parse(readText(`${folder}/package.json`)) as Manifest }));
}
