/** Longer texts of a file are cut in messages. */
const MAX_LENGTH = 80;

/**
 * A value of a file as a message may show it: short, whatever the file holds. Lists and objects are named and not
 * printed, since `JSON.stringify` overflows the stack where they are nested some thousand levels deep.
 */
export function showValue(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  return shorten(JSON.stringify(value));
}

/** The first `count` of some names, and how many more there are. */
export function listNames(names: readonly string[], count: number): string {
  const shown = names.slice(0, count).map(shorten).join(", ");
  return names.length > count ? `${shown} and ${names.length - count} more` : shown;
}

const shorten = (text: string): string =>
  text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH)}…`;
