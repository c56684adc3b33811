import type { FolderSource } from "@kvfold/decoder";

/** What the card of a checkpoint says that holds for its folds, too. */
export interface CardOrigin {
  /** Fields of its front matter, `license` among them, in their order. */
  readonly fields: readonly (readonly [name: string, value: string | readonly string[]])[];
  /** Its licence files. */
  readonly licenseFiles: readonly string[];
}

/** Licence files under the names that checkpoints have them. */
export const LICENSE_FILES: readonly string[] = [
  "LICENSE",
  "LICENSE.md",
  "LICENSE.txt",
  "LICENCE",
  "NOTICE",
  "NOTICE.txt",
  "USE_POLICY.md",
];

/** Fields that a fold inherits. */
const FIELDS = ["license", "license_name", "license_link", "language"];

/** Reads what a fold inherits from the card of its checkpoint. A card that cannot be read says nothing. */
export async function readCardOrigin(source: FolderSource): Promise<CardOrigin> {
  const card = await source.readText("README.md").catch(() => undefined);
  const licenseFiles: string[] = [];
  for (const file of LICENSE_FILES) {
    const bytes = await source.openBytes(file);
    if (bytes === undefined) continue;
    licenseFiles.push(file);
    await bytes.close?.();
  }
  return { fields: readFields(card ?? ""), licenseFiles };
}

/** The fields of interest in the YAML between `---` at the top: plain texts, and lists of them. */
function readFields(card: string): CardOrigin["fields"] {
  const [, front = ""] = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---(?:\r?\n|$)/.exec(card) ?? [];
  return FIELDS.flatMap((name) => {
    const value = readField(front, name);
    return value === undefined ? [] : [[name, value] as const];
  });
}

function readField(front: string, name: string): string | readonly string[] | undefined {
  const pattern = new RegExp(`^${name}:[ \\t]*(.*)((?:\\r?\\n[ \\t]*-[ \\t]+.*)*)`, "m");
  const [, inline = "", list = ""] = pattern.exec(front) ?? [];
  const items =
    list.trim() === ""
      ? []
      : list
          .trim()
          .split(/\r?\n/)
          .map((line) => plain(line.replace(/^\s*-\s+/, "")));
  if (items.length > 0) return items;
  const [, within] = /^\[(.*)\]\s*$/.exec(inline) ?? [];
  if (within !== undefined) return within.split(",").map(plain);
  return inline.trim() === "" ? undefined : plain(inline);
}

/** A scalar without quotes and comments. */
const plain = (text: string): string =>
  text
    .trim()
    .replace(/^(["'])(.*)\1(?:\s+#.*)?$/, "$2")
    .replace(/\s+#.*$/, "");
