/** Folded checkpoints of all families are read back: what a family stores, and how, must survive fewer KV heads. */
import { describe, expect, it } from "vitest";
import { referenceLogits } from "../../decoder/test/reference/decoder.js";
import { familyNames, openFamily } from "../../decoder/test/support/families.js";
import { planFold } from "../src/index.js";
import { foldToBoth } from "./support/fold-to-both.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";

/** As long as the shortest context among the families: some learn positions. */
const windows = randomWindows(3, 16, { vocabulary: 96 });
const options = { keep: "1/2", heal: "none", maxPositions: 64 } as const;

/** Why a shape cannot be a checkpoint of its family: a part of the message, and the folders that it is said of. */
type Refusals = Readonly<Record<string, readonly string[]>>;

const FIELD = "has no field for fewer KV heads";
const NORMS = "leaves products after the norms of queries and keys";
const PARTIAL = "needs heads that turn as a whole";

const normsOfHeads = ["cohere-qknorm", "exaone4", "gemma3_text", "hunyuan_v1_dense", "olmo2", "qwen3"];
const fewerHeadsUnsaid = ["bloom", "falcon-mqa", "gpt2", "gpt_bigcode", "gpt_neox-sequential", "mpt", "opt"];

const refusals: Readonly<Record<"mean" | "commuting", Refusals>> = {
  mean: {
    [FIELD]: [...fewerHeadsUnsaid, "gpt_neox", "opt-350m-like"].toSorted(),
    [NORMS]: [...normsOfHeads, "stablelm-qknorm"],
  },
  commuting: {
    [FIELD]: [...fewerHeadsUnsaid, "opt-350m-like"],
    [NORMS]: normsOfHeads,
    [PARTIAL]: ["glm4", "gpt_neox", "nemotron", "phi", "stablelm", "stablelm-qknorm"],
  },
};

describe.each([
  ["mean", 20],
  ["commuting", 16],
] as const)("a checkpoint folded to a half by %s", (method, count) => {
  const refused = Object.values(refusals[method]).flat();
  const written = familyNames.filter((name) => !refused.includes(name));

  it("is refused with a reason where plain code could not read it, and written of all other families", async () => {
    expect(await refusalsOf(method)).toEqual(refusals[method]);
    expect(written.length).toBe(count);
  });

  it.each(written)("has, read back, the logits of the graph: %s", async (name) => {
    const checkpoint = await openFamily(name);
    const { written, logits } = await foldToBoth(checkpoint, { ...options, method, windows });
    expect(written.config.shape.kvHeads).toBe(checkpoint.config.shape.kvHeads / 2);
    const { data: expected } = await referenceLogits(written, windows[0]!);
    const largest = Math.max(...expected.map(Math.abs));
    expect(largestDifference(logits, expected) / largest).toBeLessThan(LOGIT_TOLERANCE);
  });
});

/** Folders by what `--format hf` says of them. */
async function refusalsOf(method: string): Promise<Refusals> {
  const found: Record<string, string[]> = {};
  for (const name of familyNames.toSorted()) {
    const { config } = await openFamily(name);
    const message = refusalOf(() => planFold(config, { ...options, method, formats: ["onnx", "hf"] }));
    if (message === undefined) continue;
    const reason = [FIELD, NORMS, PARTIAL].find((part) => message.includes(part)) ?? message;
    found[reason] = [...(found[reason] ?? []), name];
  }
  return found;
}

function refusalOf(plan: () => unknown): string | undefined {
  try {
    plan();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
