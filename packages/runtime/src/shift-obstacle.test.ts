import { describe, expect, it } from "vitest";
import type { DecodingState } from "./index.js";
import { findShiftObstacle } from "./shift-obstacle.js";

/** What is in the cache of a toy model: a token, and the position that its key was given. */
interface Key {
  readonly token: number;
  readonly position: number;
}

/** Logits of a toy model after its newest token, from the keys of all tokens and the query's position. */
type Toy = (keys: readonly Key[], query: number) => readonly number[];

const stateOf =
  (toy: Toy) =>
  (positionOf: (index: number) => number): DecodingState => {
    const keys: Key[] = [];
    const decode = async (token: number): Promise<Float32Array> => {
      keys.push({ token, position: positionOf(keys.length) });
      return Float32Array.from(toy(keys, keys.at(-1)!.position));
    };
    return { decode, dispose() {} } as unknown as DecodingState;
  };

/** Attention that decays with the distance, as every rotation makes it depend on the distance alone. */
const attend = (keys: readonly Key[], query: number): readonly number[] => {
  const shares = keys.map(({ position }) => 1 / (1 + (query - position) ** 2));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const mean = keys.reduce((sum, { token }, i) => sum + (token * shares[i]!) / total, 0);
  return [mean, 1];
};

const toys: readonly [string, Toy, Awaited<ReturnType<typeof findShiftObstacle>>][] = [
  ["keys that are cached rotated", attend, undefined],
  [
    "a fold whose loss depends on the position",
    (keys, query) =>
      attend(keys, query).map((x) => x + keys.length * Math.sin(query) * Number(keys.length > 1)),
    undefined,
  ],
  [
    "learned positions",
    (keys, query) => attend(keys, query).map((x) => x + query / 10),
    "absolute-positions",
  ],
  [
    "keys that stand where the mask counts them",
    (keys, query) =>
      attend(
        keys.map((key, position) => ({ ...key, position })),
        query,
      ),
    "positions-from-mask",
  ],
  [
    "keys that stand that far before the query",
    (keys, query) =>
      attend(
        keys.map((key, i) => ({ ...key, position: query - keys.length + 1 + i })),
        query,
      ),
    undefined,
  ],
];

describe("findShiftObstacle", () => {
  it.each(toys)("judges %s", async (_, toy, expected) => {
    const find = (maxPositions: number) =>
      findShiftObstacle(stateOf(toy), { vocabularySize: 50, maxPositions });
    expect(await find(1024)).toBe(expected);
    expect(await find(24)).toBe(expected);
  });

  it("has nothing to say where there is no room to move", async () => {
    const find = findShiftObstacle(stateOf(toys[2]![1]), { vocabularySize: 50, maxPositions: 2 });
    expect(await find).toBeUndefined();
  });
});
