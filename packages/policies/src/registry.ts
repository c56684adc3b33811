import { keydiff } from "./policies/keydiff.js";
import { knorm } from "./policies/knorm.js";
import { random } from "./policies/random.js";
import { pyramidkv, snapkv } from "./policies/snapkv.js";
import { streaming } from "./policies/streaming.js";
import { tova } from "./policies/tova.js";
import { type PolicyText, readBudget, readOptions } from "./options.js";
import type { Policy } from "./policy.js";

/** A policy that can be named in a list. */
export interface PolicyEntry {
  readonly name: string;
  /** One line for a help text. */
  readonly summary: string;
  readonly create: (text: PolicyText) => Policy;
}

/** The policies that come with kvfold. */
export const policyEntries: readonly PolicyEntry[] = [
  {
    name: "keydiff",
    summary: "keys that are least like the others",
    create: (text) => {
      readOptions(text, {});
      return keydiff(readBudget(text), text.text);
    },
  },
  {
    name: "streaming",
    summary: "the first tokens and the newest (sinks=4)",
    create: (text) => streaming(readBudget(text), readOptions(text, { sinks: 4 }), text.text),
  },
  {
    name: "knorm",
    summary: "keys of small norm (spare=2 first layers)",
    create: (text) => knorm(readBudget(text), readOptions(text, { spare: 2 }), text.text),
  },
  {
    name: "tova",
    summary: "what the newest token attends to",
    create: (text) => {
      readOptions(text, {});
      return tova(readBudget(text), text.text);
    },
  },
  {
    name: "snapkv",
    summary: "what the last tokens attend to (window=32, kernel=5)",
    create: (text) => snapkv(readBudget(text), readOptions(text, { window: 32, kernel: 5 }), text.text),
  },
  {
    name: "pyramidkv",
    summary: "the same with budgets that fall by layer (window=32, kernel=5, beta=20)",
    create: (text) =>
      pyramidkv(readBudget(text), readOptions(text, { window: 32, kernel: 5, beta: 20 }), text.text),
  },
  {
    name: "random",
    summary: "tokens at random (seed=0)",
    create: (text) => random(readBudget(text), readOptions(text, { seed: 0 }), text.text),
  },
];
