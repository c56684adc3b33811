import { expect, it } from "vitest";
import { headView } from "../test/views.js";
import { reorder, scoreInOrder, slotsInOrder } from "./in-order.js";

it("leaves a head alone whose tokens stand in order", () => {
  expect(slotsInOrder(headView(4, 1))).toBeUndefined();
});

it("moves all that belongs to a token, and scores back to its slot", () => {
  const head = headView(3, 1);
  const moved = reorder(head, Int32Array.of(2, 0, 1));
  expect(Array.from(moved.positions)).toEqual([2, 0, 1]);
  expect(moved.keys.subarray(0, 4)).toEqual(head.keys.subarray(8, 12));
  const { sums } = head.attentionSums!;
  expect(moved.attentionSums!.sums.subarray(0, 3)).toEqual(Float32Array.of(sums[2]!, sums[0]!, sums[1]!));
  const slots = slotsInOrder(moved)!;
  expect(reorder(moved, slots)).toEqual(head);
  const scores = scoreInOrder(moved, ({ positions }) => Float32Array.from(positions));
  expect(Array.from(scores)).toEqual([2, 0, 1]);
});
