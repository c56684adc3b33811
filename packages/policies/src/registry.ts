import {
  NUMBER,
  ODD,
  type PolicyText,
  readBits,
  readBudget,
  readOptions,
  readShare,
  refuseAmount,
  refuseAnyAmount,
  SHARE,
  wholeFrom,
} from "./options.js";
import { corm } from "./policies/corm.js";
import { decoquant } from "./policies/decoquant.js";
import { expected } from "./policies/expected.js";
import { fastgen } from "./policies/fastgen.js";
import { keydiff } from "./policies/keydiff.js";
import { knorm } from "./policies/knorm.js";
import { kvmerger } from "./policies/kvmerger.js";
import { observed } from "./policies/observed.js";
import { random } from "./policies/random.js";
import { pyramidkv, snapkv } from "./policies/snapkv.js";
import { stored } from "./policies/stored.js";
import { streaming } from "./policies/streaming.js";
import { think } from "./policies/think.js";
import { tova } from "./policies/tova.js";
import type { CachePrecision, Policy } from "./policy.js";

/** A policy that can be named in a list. */
export interface PolicyEntry {
  readonly name: string;
  /** One line for a help text. */
  readonly summary: string;
  readonly create: (text: PolicyText) => Policy;
}

const FROM_ONE = { what: "a number from 1", holds: (value: number) => value >= 1 };

/** The policies that come with kvfold. */
export const policyEntries: readonly PolicyEntry[] = [
  {
    name: "keydiff",
    summary: "keys that are least like the others (sinks=0, recent=0)",
    create: (text) =>
      keydiff(readBudget(text), readOptions(text, { sinks: wholeFrom(0), recent: wholeFrom(0) }), text.text),
  },
  {
    name: "streaming",
    summary: "the first tokens and the newest (sinks=4)",
    create: (text) => streaming(readBudget(text), readOptions(text, { sinks: wholeFrom(0) }), text.text),
  },
  {
    name: "knorm",
    summary: "keys of small norm (spare=2 first layers)",
    create: (text) => knorm(readBudget(text), readOptions(text, { spare: wholeFrom(0) }), text.text),
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
    create: (text) =>
      snapkv(readBudget(text), readOptions(text, { window: wholeFrom(1), kernel: ODD }), text.text),
  },
  {
    name: "pyramidkv",
    summary: "the same with budgets that fall by layer (window=32, kernel=5, beta=20)",
    create: (text) =>
      pyramidkv(
        readBudget(text),
        readOptions(text, { window: wholeFrom(1), kernel: ODD, beta: FROM_ONE }),
        text.text,
      ),
  },
  {
    name: "expected",
    summary: "what tokens to come are expected to attend to (window=0, future=512, sinks=4, epsilon=0)",
    create: (text) =>
      expected(
        readBudget(text),
        readOptions(text, {
          window: wholeFrom(0),
          future: wholeFrom(1),
          sinks: wholeFrom(0),
          epsilon: NUMBER,
        }),
        text.text,
      ),
  },
  {
    name: "observed",
    summary: "what all tokens of the prompt attend to; as slow as their attention",
    create: (text) => {
      readOptions(text, {});
      return observed(readBudget(text), text.text);
    },
  },
  {
    name: "corm",
    summary:
      "what any of the last tokens finds important, at every step; takes no amount (window=256, recent=256)",
    create: (text) => {
      refuseAmount(text);
      return corm(readOptions(text, { window: wholeFrom(1), recent: wholeFrom(0) }), text.text);
    },
  },
  {
    name: "fastgen",
    summary:
      "per head, the cheapest way to keep a share of its attention (frequent=0.3, local=0.3, sinks=4, window=32)",
    create: (text) =>
      fastgen(
        readShare(text, "attention to keep"),
        readOptions(text, { frequent: SHARE, local: SHARE, sinks: wholeFrom(0), window: wholeFrom(0) }),
        text.text,
      ),
  },
  {
    name: "kvmerger",
    summary: "merges neighbours of similar keys (window=32, recent=0.34, heavy=0.24, spare=2)",
    create: (text) =>
      kvmerger(
        readBudget(text),
        readOptions(text, { window: wholeFrom(0), recent: SHARE, heavy: SHARE, spare: wholeFrom(0) }),
        text.text,
      ),
  },
  {
    name: "think",
    summary: "clears a share of the channels of keys (window=32, recent=32)",
    create: (text) =>
      think(
        readShare(text, "channels to clear"),
        readOptions(text, { window: wholeFrom(1), recent: wholeFrom(0) }),
        text.text,
      ),
  },
  {
    name: "decoquant",
    summary: "rounds to a number of bits, once a factor has taken the outliers; saves no bytes",
    create: (text) => {
      readOptions(text, {});
      return decoquant(readBits(text), text.text);
    },
  },
  storedEntry("int8", "keeps the cache in 8 bits; needs a graph for it (fold --cache-bits 8)"),
  storedEntry("int4", "keeps the cache in 4 bits; needs a graph for it (fold --cache-bits 4)"),
  {
    name: "random",
    summary: "tokens at random (seed=0)",
    create: (text) => random(readBudget(text), readOptions(text, { seed: wholeFrom(0) }), text.text),
  },
];

function storedEntry(precision: CachePrecision, summary: string): PolicyEntry {
  return {
    name: precision,
    summary,
    create: (text) => {
      refuseAnyAmount(text);
      readOptions(text, {});
      return stored(precision);
    },
  };
}
