import { expect, it } from "vitest";
import type { LayerView } from "../cache-view.js";
import { keydiff } from "./keydiff.js";

/** Keys of two numbers at the given angles, in degrees. */
function layerOf(angles: readonly number[], run = 1): LayerView {
  const keys = Float32Array.from(
    angles.flatMap((angle) => [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)]),
  );
  const tokens = angles.length;
  const positions = Int32Array.from({ length: tokens }, (_, token) => token);
  const head = { tokens, queryHeads: 1, keys, values: keys, positions };
  return { layer: 0, layers: 1, heads: [head], seen: tokens, run };
}

const kept = (policy: ReturnType<typeof keydiff>, layer: LayerView) =>
  Array.from(policy.afterPrefill!(layer)![0]!.kept!);

it("keeps the keys that point elsewhere than most", () => {
  expect(kept(keydiff({ tokens: 2 }), layerOf([0, 90, 5, 180, -5, 0]))).toEqual([1, 3]);
});

it("keeps first and latest tokens where it is asked to, and in a smaller budget the first, then the latest", () => {
  const layer = layerOf([0, 90, 5, 180, -5, 0]);
  expect(kept(keydiff({ tokens: 3 }, { sinks: 1 }), layer)).toEqual([0, 1, 3]);
  expect(kept(keydiff({ tokens: 3 }, { recent: 2 }), layer)).toEqual([3, 4, 5]);
  expect(kept(keydiff({ tokens: 2 }, { sinks: 1, recent: 2 }), layer)).toEqual([0, 5]);
});

it("keeps the run of the key that is most unlike the others, though another is so on average", () => {
  // The mean points to 39 degrees. Cosines to it are -0.78 at 180, 0.78 at 0 and 0.33 at 110: 0.39 on the mean of the first run.
  const layer = layerOf([180, 0, 0, 0, 110, 110, 110, 110, 0, 0, 0, 0], 4);
  expect(kept(keydiff({ tokens: 4 }), layer)).toEqual([0, 1, 2, 3]);
});
