import type { Choices } from "../choices.js";
import type { FuzzCase } from "../fuzz-case.js";
import { mutateBytes } from "../mutate-bytes.js";
import { SMALL_TOKENIZER, SMALL_TOKENIZER_CONFIG } from "../small-tokenizer.js";

/** Files of token ids, and of text that becomes them. */
export function tokenCase(choices: Choices): FuzzCase {
  const format = choices.pick(["u16", "u16", "u32", "u32", "txt"]);
  const bytes = format === "txt" ? textBytes(choices) : idBytes(format, choices);
  const changed = choices.chance(0.7) ? mutateBytes(bytes, bytes.length, choices) : bytes;
  return {
    attempt: "tokens",
    files: new Map<string, string | Uint8Array>([
      [`tokens.${format}`, changed],
      ["tokenizer.json", JSON.stringify(SMALL_TOKENIZER)],
      ["tokenizer_config.json", JSON.stringify(SMALL_TOKENIZER_CONFIG)],
    ]),
    mutation: `tokens.${format} of ${changed.length} bytes`,
  };
}

const LARGEST = [5, 95, 96, 97, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

function idBytes(format: string, { int, pick, chance }: Choices): Uint8Array {
  const count = pick([0, 1, 2, 3, 100, 2000]);
  const largest = pick(LARGEST);
  const ids = Array.from({ length: count }, () => (chance(0.02) ? largest : int(90)));
  return new Uint8Array((format === "u16" ? Uint16Array.from(ids) : Uint32Array.from(ids)).buffer);
}

function textBytes({ int, pick }: Choices): Uint8Array {
  const words = [
    "hello",
    " ",
    "world",
    "\n",
    "<s>",
    "</s>",
    "\u0000",
    "🙂",
    "é",
    "\ufeff",
    "\ud800",
    "a".repeat(500),
    "\r\n",
  ];
  return new TextEncoder().encode(Array.from({ length: int(60) }, () => pick(words)).join(""));
}
