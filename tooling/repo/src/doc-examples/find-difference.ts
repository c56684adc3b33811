/** Digits that an example may leave out of a number. */
const TOLERANCE = 1e-9;

/**
 * Where two values differ: a path such as `.heads[2]` with both values, or `undefined` if they are deeply equal.
 *
 * Numbers are equal within `1e-9` of the larger one (within `1e-9` where zero is expected), NaN equals NaN, a typed
 * array equals an array of its numbers, and the class of an object does not matter.
 */
export function findDifference(got: unknown, expected: unknown, path = ""): string | undefined {
  const [left, right] = [readItems(got), readItems(expected)];
  if (
    left === undefined ||
    right === undefined ||
    left.kind !== right.kind ||
    !sameKeys(left.items, right.items)
  )
    return isSame(got, expected) ? undefined : describe(path, got, expected);
  for (const [key, value] of right.items) {
    const step = right.kind === "record" ? `.${String(key)}` : `[${String(key)}]`;
    const difference = findDifference(left.items.get(key), value, path + step);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

type Items = ReadonlyMap<unknown, unknown>;

/** What is inside a value, by its keys; `undefined` for one that has no inside. */
function readItems(value: unknown): { kind: "list" | "map" | "set" | "record"; items: Items } | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (value instanceof Map) return { kind: "map", items: value };
  if (value instanceof Set) return { kind: "set", items: new Map([...value].map((item) => [item, item])) };
  if (isList(value))
    return { kind: "list", items: new Map(Array.from(value, (item, index) => [index, item])) };
  return { kind: "record", items: new Map(Object.entries(value)) };
}

const isList = (value: object): value is ArrayLike<unknown> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));

const sameKeys = (left: Items, right: Items): boolean =>
  left.size === right.size && [...left.keys()].every((key) => right.has(key));

const isSame = (got: unknown, expected: unknown): boolean =>
  Object.is(got, expected) ||
  (typeof got === "number" && typeof expected === "number" && isClose(got, expected));

function isClose(got: number, expected: number): boolean {
  if (got === expected) return true; // 0 and -0
  const scale = expected === 0 ? 1 : Math.max(Math.abs(got), Math.abs(expected));
  return Number.isFinite(scale) && Math.abs(got - expected) <= TOLERANCE * scale;
}

const describe = (path: string, got: unknown, expected: unknown): string =>
  `${path === "" ? "" : `at ${path} `}expected ${write(expected)}, got ${write(got)}`;

function write(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  const content = readItems(value);
  if (content === undefined) return String(value);
  if (content.kind === "list") return `[${[...content.items.values()].map(write).join(", ")}]`;
  if (content.kind === "set") return `Set { ${[...content.items.values()].map(write).join(", ")} }`;
  const fields = [...content.items].map(([key, item]) => `${String(key)}: ${write(item)}`);
  return fields.length === 0 ? "{}" : `${content.kind === "map" ? "Map " : ""}{ ${fields.join(", ")} }`;
}
