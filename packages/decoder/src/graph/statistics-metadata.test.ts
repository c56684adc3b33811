import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import type { JointLatent } from "../model/decoder-weights.js";
import { readStatistics, statisticsMetadata } from "./statistics-metadata.js";

const next = gaussians(1);
const numbers = (count: number) => Float32Array.from({ length: count }, next);
const statistics = { keyMeans: numbers(6), rest: numbers(4), costs: numbers(4) };
const none = new Float32Array();
const joint: JointLatent = {
  chunks: [2],
  encodeKeys: none,
  decodeKeys: none,
  decodeValues: none,
  statistics,
};
const sizes = { keys: 6, latents: 4 };
const read = (entries: Readonly<Record<string, string>>, layer = 3) =>
  readStatistics(new Map(Object.entries(entries)), layer, sizes);

describe("statistics of latents as metadata", () => {
  it("come back to the bit, with keys that turn and without", () => {
    expect(read(statisticsMetadata(3, { joint }))).toEqual(statistics);
    const still = { ...statistics, keyMeans: undefined };
    expect(read(statisticsMetadata(3, { joint: { ...joint, statistics: still } }))).toEqual(still);
  });

  it("are of one layer, and nothing where nothing is known", () => {
    expect(read(statisticsMetadata(2, { joint }))).toBeUndefined();
    expect(statisticsMetadata(3, { joint: undefined })).toEqual({});
  });

  it.each(["", "null", "[]", '{"rest":[1],"costs":[1]}', '{"rest":[1,2,3,"a"],"costs":[1,2,3,4]}'])(
    "are not read from %s",
    (text) => {
      expect(read({ "latent_statistics.3": text })).toBeUndefined();
    },
  );
});
