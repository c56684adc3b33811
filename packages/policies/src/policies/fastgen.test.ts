import { expect, it } from "vitest";
import { layerView } from "../../test/views.js";
import { fastgen } from "./fastgen.js";

const head = {
  tokens: 4,
  queryHeads: 1,
  keys: new Float32Array(4),
  values: new Float32Array(4),
  positions: Int32Array.of(0, 1, 2, 3),
  attention: Float32Array.of(0.45, 0.3, 0.15, 0.1),
};

it("keeps what recovers the share, and knows classes by token ids", () => {
  const view = layerView(4, { heads: [head], ids: [7, 8, 9, 8] });
  const kept = (recover: number, classOf?: fastgen.Options["classOf"]) => {
    const options = { window: 1, sinks: 1, frequent: 0.25, local: 0, ...(classOf && { classOf }) };
    return Array.from(fastgen(recover, options).afterPrefill!(view)![0]!.kept!);
  };
  expect(kept(0.4)).toEqual([0]);
  expect(kept(0.7)).toEqual([0, 1]);
  expect(kept(0.55, (id) => (id === 9 ? "punctuation" : "other"))).toEqual([0, 2]);
});

it("lets heads differ, and changes none that needs all its tokens", () => {
  const even = { ...head, attention: new Float32Array(4).fill(0.25) };
  const view = layerView(4, { heads: [even, head] });
  const changes = fastgen(0.7, { window: 1, sinks: 1, frequent: 0.25, local: 0 }).afterPrefill!(view)!;
  expect(changes[0]).toBeUndefined();
  expect(Array.from(changes[1]!.kept!)).toEqual([0, 1]);
});
