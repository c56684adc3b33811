import { DecoderError } from "../decoder-error.js";
import { showValue } from "../show-value.js";

/**
 * Reads single fields of a Hugging Face `config.json` and remembers which ones were asked for. Absent fields have the
 * fallback; so do null ones, but for flags and `nullable` fields, where transformers takes null as no. Several names for
 * one field are tried in order.
 */
export interface ConfigFields {
  /** The parsed object itself. */
  readonly values: Readonly<Record<string, unknown>>;
  /** An integer above 0. @throws {DecoderError} `malformed-checkpoint` when it is something else, or absent without `fallback`. */
  count(names: string | readonly string[], fallback?: number): number;
  optionalCount(names: string | readonly string[]): number | undefined;
  /** A finite number that `accept` takes. */
  number(name: string, fallback: number, accept?: NumberTest): number;
  /** A finite number above 0: `fallback` where the field is absent, `undefined` where it is null. */
  nullable(name: string, fallback: number | undefined): number | undefined;
  /** The same for an integer above 0. */
  nullableCount(name: string, fallback: number | undefined): number | undefined;
  /** `fallback` where the field is absent, false where it is null. */
  flag(name: string, fallback: boolean): boolean;
  text(names: string | readonly string[], fallback: string): string;
  /** A list as it is, one entry for each of `length` layers; absent without. */
  list(name: string, length: number): readonly unknown[] | undefined;
  /** Any value; `undefined` where absent or null. */
  raw(name: string): unknown;
  /** The fields of an object inside; empty where absent. */
  inside(name: string): ConfigFields;
  /** Marks fields as read that something else reads. */
  markRead(...names: readonly string[]): void;
  /** Names of the fields that nobody asked for, in the order of the file; fields that are null say nothing. */
  unread(): readonly string[];
}

export interface NumberTest {
  readonly test: (value: number) => boolean;
  readonly expected: string;
}

export const positive: NumberTest = { test: (value) => value > 0, expected: "a number above 0" };
export const notNegative: NumberTest = { test: (value) => value >= 0, expected: "a number of 0 or more" };

/** Fields of a parsed object; `path` stands before their names in messages. */
export function createConfigFields(values: Readonly<Record<string, unknown>>, path = ""): ConfigFields {
  const read = new Set<string>();
  const insides = new Map<string, ConfigFields>();
  const raw = (name: string): unknown => {
    read.add(name);
    return Object.hasOwn(values, name) ? (values[name] ?? undefined) : undefined;
  };
  const find = (names: string | readonly string[]) => {
    const list = typeof names === "string" ? [names] : names;
    const found = list.map((name) => [name, raw(name)] as const).find(([, value]) => value !== undefined);
    return { label: path + (found?.[0] ?? list.join(" or ")), value: found?.[1] };
  };
  const optionalCount = (names: string | readonly string[]) => {
    const { label, value } = find(names);
    if (value === undefined || isCount(value)) return value;
    throw malformed(label, "a positive integer", value);
  };
  const checked = (name: string, accept: NumberTest): number | undefined => {
    const { label, value } = find(name);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isFinite(value) && accept.test(value)) return value;
    throw malformed(label, accept.expected, value);
  };
  const absent = <T>(name: string, fallback: T): T | undefined =>
    Object.hasOwn(values, name) ? undefined : fallback;
  return {
    values,
    raw,
    optionalCount,
    count(names, fallback) {
      const value = optionalCount(names) ?? fallback;
      if (value === undefined) throw malformed(find(names).label, "a positive integer", value);
      return value;
    },
    number: (name, fallback, accept = anyNumber) => checked(name, accept) ?? fallback,
    nullable: (name, fallback) => checked(name, positive) ?? absent(name, fallback),
    nullableCount: (name, fallback) => optionalCount(name) ?? absent(name, fallback),
    flag(name, fallback) {
      const { label, value = absent(name, fallback) ?? false } = find(name);
      if (typeof value === "boolean") return value;
      throw malformed(label, "true or false", value);
    },
    text(names, fallback) {
      const { label, value = fallback } = find(names);
      if (typeof value === "string") return value;
      throw malformed(label, "a text", value);
    },
    list(name, length) {
      const { label, value } = find(name);
      if (value === undefined) return undefined;
      if (Array.isArray(value) && value.length === length) return value;
      throw malformed(label, `a list of ${length} entries, one for each layer`, value);
    },
    inside(name) {
      const value = raw(name);
      if (value !== undefined && (typeof value !== "object" || Array.isArray(value)))
        throw malformed(path + name, "an object", value);
      const inner =
        insides.get(name) ?? createConfigFields((value ?? {}) as Record<string, unknown>, `${path}${name}.`);
      insides.set(name, inner);
      return inner;
    },
    markRead: (...names) => names.forEach((name) => void read.add(name)),
    unread: () => [
      ...Object.keys(values)
        .filter((name) => !read.has(name) && values[name] !== null)
        .map((name) => path + name),
      ...[...insides.values()].flatMap((inner) => inner.unread()),
    ],
  };
}

const anyNumber: NumberTest = { test: () => true, expected: "a number" };

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0;

/** A `malformed-checkpoint` error about a field. */
export function malformed(label: string, expected: string, found: unknown): DecoderError {
  return new DecoderError(
    "malformed-checkpoint",
    `config.json: ${label} must be ${expected}, found ${showValue(found)}`,
  );
}
