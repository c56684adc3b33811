/** How a case ended. Faults are what the product must never do. */
export interface Verdict {
  readonly outcome: "loaded" | "ran" | "refused" | "fault";
  /** `decoder malformed-checkpoint` for refusals, what is wrong for faults. */
  readonly detail: string;
  /** The message of a refusal, the stack of a fault. */
  readonly text?: string;
}

/** Longer messages hide what they say; a path or a list of names fits. */
const MAX_MESSAGE = 1200;

/** Codes that say that ONNX Runtime met something that kvfold should have refused. */
const LATE_CODES = new Set(["session-failed", "run-failed", "invalid-graph", "invalid-argument"]);

/** Codes about what a model computes: no file is to blame. */
const ABOUT_RUNS = new Set(["invalid-logits", "too-many-positions"]);

/** A file's name, or that of the folder that cases lie in. */
const NAMES_FILE = /\bMODEL\b|\.(json|safetensors|jinja|u16|u32|txt)\b/;

/** Words of engines and libraries; a message that quotes one in brackets names its file all the same. */
const RAW =
  /is not a function|not iterable|Cannot (read|convert|mix)|call stack|Invalid (array|typed)|\[object|\bNaN\b.*BigInt|RangeError|TypeError/;

/** Judges what an attempt threw: one of kvfold's own errors that says where the fault lies, or a bug. */
export function judgeError(error: unknown): Verdict {
  const owner = ownerOf(error);
  const { message, code = "" } = error as Error & { readonly code?: string };
  if (owner === undefined) return fault("a foreign error", error);
  if (LATE_CODES.has(code)) return fault(`refused late (${code})`, error);
  if (message.length > MAX_MESSAGE) return fault("a message without end", error);
  if (RAW.test(message.replace(/\(.*\)/s, ""))) return fault("a raw message", error);
  if (!ABOUT_RUNS.has(code) && !NAMES_FILE.test(message)) return fault("a message that names no file", error);
  return { outcome: "refused", detail: `${owner} ${code}`, text: message };
}

/** The package whose error it is, by the mark that all of them carry. */
function ownerOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const keys = Object.getOwnPropertySymbols(error).map((symbol) => Symbol.keyFor(symbol) ?? "");
  return keys.map((key) => /^kvfold\.([a-z]+)\.error$/.exec(key)?.[1]).find((name) => name !== undefined);
}

export const fault = (detail: string, error?: unknown): Verdict => ({
  outcome: "fault",
  detail,
  text: (error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error ?? "")).slice(
    0,
    4000,
  ),
});
