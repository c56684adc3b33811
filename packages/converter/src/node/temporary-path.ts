import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { processTag, TAG_PATTERN } from "./process-tag.js";

/** What a temporary sibling is for: what will take the place, or what stood there and is being replaced. */
export type TemporaryKind = "partial" | "replaced";

/** A temporary sibling of an output, as its name describes it. */
export interface TemporarySibling {
  readonly path: string;
  readonly kind: TemporaryKind;
  /** The process that made it; `undefined` in names of older versions. */
  readonly tag: string | undefined;
  /** The same for the parts of one output. */
  readonly key: string;
}

/** A key for the temporary siblings of one output: unique, and it names this process. */
export const temporaryKey = (): string => `${processTag()}-${randomBytes(4).toString("hex")}`;

/**
 * A path beside `place` to write to before a rename, hidden, and telling which process it belongs to:
 * `.model.partial-…` for `model`.
 */
export const temporaryPath = (
  place: string,
  kind: TemporaryKind = "partial",
  key: string = temporaryKey(),
): string => join(dirname(place), `.${basename(place)}.${kind}-${key}`);

const KEY = new RegExp(`^(?:(${TAG_PATTERN})-[0-9a-f]{8}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$`);

/** What a name in the folder of `place` says, or `undefined` when it is not a temporary sibling of `place`. */
export function parseSibling(place: string, name: string): TemporarySibling | undefined {
  for (const kind of ["partial", "replaced"] as const) {
    const prefix = `.${basename(place)}.${kind}-`;
    const found = name.startsWith(prefix) ? KEY.exec(name.slice(prefix.length)) : null;
    if (found !== null) return { path: join(dirname(place), name), kind, tag: found[1], key: found[0] };
  }
  return undefined;
}
