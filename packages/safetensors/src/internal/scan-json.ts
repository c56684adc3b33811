/** What a JSON text is made of, found in one pass without building anything. */
export interface JsonStructure {
  /** `name: value` members, repeated names included: the colons outside strings. */
  readonly memberCount: number;
  /** How deep objects and arrays are nested. */
  readonly depth: number;
}

/**
 * Looks a JSON text over before it is parsed. `JSON.parse` takes most of a minute for 100 MB of brackets or of
 * short names, and silently keeps the last of a repeated name: both show here, in a fraction of a second.
 * For text that is not JSON the figures mean nothing, but `JSON.parse` finds that out.
 */
export function scanJson(json: string): JsonStructure {
  let memberCount = 0;
  let level = 0;
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    switch (json[i]) {
      case '"':
        i = endOfString(json, i);
        break;
      case ":":
        memberCount++;
        break;
      case "{":
      case "[":
        level++;
        if (level > depth) depth = level;
        break;
      case "}":
      case "]":
        level--;
        break;
    }
  }
  return { memberCount, depth };
}

/** The index of the quote that ends the string begun at `start`. */
function endOfString(json: string, start: number): number {
  let i = start + 1;
  while (i < json.length && json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
  return i;
}
