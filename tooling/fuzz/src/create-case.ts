import { configCase } from "./cases/config-cases.js";
import { safetensorsCase } from "./cases/safetensors-cases.js";
import { shardIndexCase } from "./cases/shard-index-cases.js";
import { tokenCase } from "./cases/token-cases.js";
import { tokenizerCase } from "./cases/tokenizer-cases.js";
import { type Choices, createChoices } from "./choices.js";
import type { FuzzCase } from "./fuzz-case.js";

/** Every kind of case by name, and how often it is drawn. */
const KINDS: readonly (readonly [name: string, weight: number, create: (choices: Choices) => FuzzCase])[] = [
  ["config", 45, configCase],
  ["safetensors", 28, safetensorsCase],
  ["shard-index", 12, shardIndexCase],
  ["tokenizer", 10, tokenizerCase],
  ["tokens", 5, tokenCase],
];

export interface CreatedCase extends FuzzCase {
  readonly kind: string;
  /** Whether a model that loads is also exported and run: a sample, since it takes a hundred times as long. */
  readonly runs: boolean;
  /** Whether the files are written to a disk even where the product need not notice: a sample, too. */
  readonly onDisk: boolean;
}

/** Case `index` of a seed: the same files on every machine. */
export function createCase(seed: number, index: number): CreatedCase {
  const choices = createChoices(seed, index);
  const [kind, , create] = pickKind(choices.int(100));
  const runs = choices.chance(0.04);
  const onDisk = choices.chance(0.1);
  return { kind, runs, onDisk, ...create(choices) };
}

/** The kind that a number below 100 falls to: weights add up to that. */
function pickKind(number: number): (typeof KINDS)[number] {
  let below = 0;
  for (const kind of KINDS) {
    below += kind[1];
    if (number < below) return kind;
  }
  throw new Error(`weights of kinds add up to ${below} only`);
}
