import { SafetensorsError } from "../safetensors-error.js";
import { isPointerText, pointerError } from "./git-lfs.js";

/** A JSON object as a map of its own members, `__proto__` being a name like any other. */
export function parseJsonObject(what: string, text: string): Map<string, unknown> {
  const value = parseJson(what, text);
  const members = membersOf(value);
  if (members !== undefined) return members;
  throw new SafetensorsError("malformed", `${what}: expected a JSON object, found ${describe(value)}`);
}

/** The own members of a plain object; `undefined` for arrays, `null` and everything else. */
export function membersOf(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return new Map(Object.entries(value));
}

/** A value as a message may show it: short, whatever the file holds. */
export function describe(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}

function parseJson(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (isPointerText(text)) throw pointerError();
    throw new SafetensorsError("malformed", `${what}: expected JSON; is the file complete?`, { cause });
  }
}
