import type { BlockWeights } from "@kvfold/decoder";
import { loadBlock } from "@kvfold/decoder";
import { expect, it } from "vitest";
import { syntheticCheckpoint, tinyBloom } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { packBlock, unpackBlock } from "./pack-block.js";

it("puts a block together as it was, with every part that a fold may leave", async () => {
  const block = await loadBlock(await syntheticCheckpoint({ config: tinyBloom }), 0);
  const decode = Float32Array.of(-0, 1e-40, 3);
  const folded: BlockWeights = {
    ...block,
    attention: {
      ...block.attention,
      rotated: { encode: decode, decode },
      expanded: { encode: undefined, decode },
      slots: [0, 2],
    },
  };
  const { structure, tensors } = packBlock(folded);
  expect(tensors.get("attention.expanded.decode")).toBe(decode);
  expect(JSON.parse(structure)).toMatchObject({ attention: { heads: 6, slots: [0, 2] } });
  const again = unpackBlock({ structure, tensors });
  expect(again).toEqual(folded);
  expect(Object.is(again.attention.rotated?.encode[0], -0)).toBe(true);
});

it("names an array that is not there", async () => {
  const { structure, tensors } = packBlock(
    await loadBlock(await syntheticCheckpoint({ config: tinyBloom }), 0),
  );
  const fewer = new Map([...tensors].filter(([name]) => name !== "mlp.up.bias"));
  expect(() => unpackBlock({ structure, tensors: fewer })).toThrow("tensor mlp.up.bias is missing");
});
