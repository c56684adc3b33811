/** A JSON text; `undefined` where it is damaged. */
export function readJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const isNumber = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value);

export const isText = (value: unknown): value is string => typeof value === "string";

/** Whether a value is an array whose elements are all of a kind. */
export const isListOf = <Element>(
  value: unknown,
  is: (element: unknown) => element is Element,
): value is readonly Element[] => Array.isArray(value) && value.every(is);
