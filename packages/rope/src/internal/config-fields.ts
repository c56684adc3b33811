import { RopeError } from "../rope-error.js";

/** An object of a model's config.json together with the path that error messages name it by. */
export interface ConfigFields {
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Whether `value` is a JSON object (neither an array nor null). */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object under `key`; undefined where it is absent or null, which configs use alike. */
export function readOptionalObject(fields: ConfigFields, key: string): ConfigFields | undefined {
  const value = fields.values[key] ?? undefined;
  if (value === undefined) return undefined;
  if (!isJsonObject(value)) throw malformed(fields, key, "an object", value);
  return { path: `${fields.path}.${key}`, values: value };
}

/** The finite number above zero under `key`; undefined where it is absent or null. */
export function readOptionalPositive(fields: ConfigFields, key: string): number | undefined {
  const value = fields.values[key] ?? undefined;
  if (value === undefined || isPositive(value)) return value;
  throw malformed(fields, key, "a finite number above 0", value);
}

/** The finite number above zero under `key`. */
export function readPositive(fields: ConfigFields, key: string): number {
  const value = readOptionalPositive(fields, key);
  if (value === undefined) throw malformed(fields, key, "a finite number above 0", value);
  return value;
}

/** The integer above zero under `key`; undefined where it is absent or null. */
export function readOptionalCount(fields: ConfigFields, key: string): number | undefined {
  const value = readOptionalPositive(fields, key);
  if (value === undefined || Number.isSafeInteger(value)) return value;
  throw malformed(fields, key, "a whole number above 0", value);
}

/**
 * The number under `key`, where zero and null mean "use the default".
 * Hugging Face reads several YaRN fields through Python's `or`, so a stored 0 has always meant that.
 */
export function readOptionalNonZero(fields: ConfigFields, key: string): number | undefined {
  return fields.values[key] === 0 ? undefined : readOptionalPositive(fields, key);
}

/** The boolean under `key`; undefined where it is absent or null. */
export function readOptionalBoolean(fields: ConfigFields, key: string): boolean | undefined {
  const value = fields.values[key] ?? undefined;
  if (value === undefined || typeof value === "boolean") return value;
  throw malformed(fields, key, "true or false", value);
}

/** The string under `key`; undefined where it is absent or null. */
export function readOptionalString(fields: ConfigFields, key: string): string | undefined {
  const value = fields.values[key] ?? undefined;
  if (value === undefined || typeof value === "string") return value;
  throw malformed(fields, key, "a string", value);
}

/** The list of `length` finite numbers above zero under `key`. */
export function readPositives(fields: ConfigFields, key: string, length: number): readonly number[] {
  const value = fields.values[key];
  if (!Array.isArray(value) || !value.every(isPositive)) {
    throw malformed(fields, key, "a list of finite numbers above 0", value);
  }
  if (value.length !== length) {
    throw malformed(fields, key, `of length ${length} (half the rotary dimension)`, value.length);
  }
  return value;
}

/** The error for a field that is missing or does not hold what was expected. */
export function malformed(fields: ConfigFields, key: string, expected: string, found: unknown): RopeError {
  return new RopeError(
    "malformed-config",
    `ropeParameters: expected ${fields.path}.${key} to be ${expected}, found ${showValue(found)}`,
  );
}

/** A value as a message may show it: nested deeply it would overflow the stack of `JSON.stringify`, and fill a screen. */
export function showValue(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "[]" : `a list of ${value.length}`;
  if (isJsonObject(value)) return "an object";
  const text = JSON.stringify(value);
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
}

const MAX_SHOWN = 80;

function isPositive(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}
