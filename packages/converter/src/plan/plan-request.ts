import { ConverterError } from "../converter-error.js";
import type { planFold } from "./plan-fold.js";

type Key = keyof planFold.Options;

const isText = (value: unknown): boolean => typeof value === "string";
const isNumber = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);
const isShare = (value: unknown): boolean => isText(value) || isNumber(value);
const isOneOf =
  (...names: readonly unknown[]) =>
  (value: unknown): boolean =>
    names.includes(value);
const isListOf =
  (...names: readonly unknown[]) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.length > 0 && value.every(isOneOf(...names));
const isChunk = (value: unknown): boolean => {
  const { least, phase } = (value ?? {}) as { readonly least?: unknown; readonly phase?: unknown };
  return isNumber(value) || (isNumber(least) && isNumber(phase));
};

/** What each option of a plan may be in JSON. */
const allowed: Readonly<Record<Key, (value: unknown) => boolean>> = {
  keep: isShare,
  method: isText,
  keySpan: isNumber,
  valueSpan: isNumber,
  keyShare: isShare,
  budget: isText,
  chunk: isChunk,
  context: isNumber,
  window: isNumber,
  metric: isOneOf("output", "loss"),
  heal: isOneOf("none", "attention", "both"),
  formats: isListOf("onnx", "hf", "gguf"),
  dtypes: isListOf("fp32", "fp16", "q4", "q8"),
  maxPositions: isNumber,
  cacheBits: isListOf(8, 4),
  seed: isNumber,
};

/**
 * The options of a plan as data for `kvfold.json`, from which the same plan can be made again; nothing for methods and budgets
 * of one's own, which JSON cannot hold.
 */
export function planRequest(options: planFold.Options): Partial<planFold.Options> | undefined {
  if (typeof options.method === "object" || typeof options.budget === "object") return undefined;
  const given = (Object.keys(allowed) as Key[]).filter((key) => options[key] !== undefined);
  return Object.fromEntries(given.map((key) => [key, options[key]]));
}

/**
 * Reads what `planRequest` has written.
 *
 * @throws {ConverterError} `invalid-option` for anything else, with the field that is wrong.
 */
export function readPlanRequest(value: unknown): planFold.Options {
  if (typeof value !== "object" || value === null || !("keep" in value))
    throw refusal("expected the options of a fold, keep among them, found none");
  for (const [key, entry] of Object.entries(value)) {
    if (!Object.hasOwn(allowed, key)) throw refusal(`${key} is not an option of this version`);
    if (!allowed[key as Key](entry))
      throw refusal(`${key} ${JSON.stringify(entry).slice(0, 80)} is not what it can be`);
  }
  return value as planFold.Options;
}

const refusal = (reason: string): ConverterError =>
  new ConverterError("invalid-option", `recipe: ${reason}; give a kvfold.json that a fold has written`, {
    option: "recipe",
  });
