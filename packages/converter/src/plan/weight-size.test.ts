import { describe, expect, it } from "vitest";
import { familyNames, openFamily } from "../../../decoder/test/support/families.js";
import { weightBytes } from "./weight-size.js";

describe("weightBytes", () => {
  // The checkpoints were written by transformers: their headers say how many numbers a model of that config has.
  it.each(familyNames)("counts what the checkpoint of %s holds", async (name) => {
    const checkpoint = await openFamily(name);
    const { ignoredTensors, head } = checkpoint.config;
    let numbers = 0;
    for await (const { name: tensor, shape, offset } of checkpoint.contents()) {
      const isUnused =
        ignoredTensors?.test(tensor) || (head.tied && /(lm_head|output|embed_out)\.weight$/.test(tensor));
      if (offset === 0 && !isUnused) numbers += shape.reduce((product, size) => product * size, 1);
    }
    expect(weightBytes(checkpoint.config, "fp32")).toBe(4 * numbers);
    expect(weightBytes(checkpoint.config, "fp16")).toBe(2 * numbers);
  });
});
