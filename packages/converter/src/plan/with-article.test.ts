import { families } from "@kvfold/decoder";
import { expect, it } from "vitest";
import { withArticle } from "./with-article.js";

it("puts an before the families that are spoken with a vowel, and a before all others", () => {
  const named = families.map(({ name }) => withArticle(name));
  expect(named.filter((name) => name.startsWith("an ")).toSorted()).toEqual([
    "an Arcee",
    "an ERNIE 4.5",
    "an EXAONE 4",
    "an InternLM2",
    "an MPT",
    "an OLMo 2",
    "an OLMo 3",
    "an OPT",
  ]);
  expect(named).toEqual(
    expect.arrayContaining(["a BLOOM", "a GLM", "a GPT-2", "a Helium", "a Llama", "a SmolLM3", "a StableLM"]),
  );
});
