import { describe, expect, it } from "vitest";
import { attentionKind, storedCache } from "./stored-cache.js";

const shape = (heads: number, size: number) => ({ heads, size });

describe("storedCache", () => {
  it("keeps shapes that are alike", () => {
    const both = { keys: shape(4, 24), values: shape(4, 24) };
    expect(storedCache(both)).toEqual(both);
  });

  it("stores a wide latent as heads of the narrower side's size", () => {
    expect(storedCache({ keys: shape(1, 64), values: shape(2, 16) })).toEqual({
      keys: shape(4, 16),
      values: shape(2, 16),
    });
  });

  it("leaves a latent as it is that no number of narrower heads makes up", () => {
    const uneven = { keys: shape(3, 16), values: shape(2, 24) };
    expect(storedCache(uneven)).toEqual(uneven);
  });
});

describe("attentionKind", () => {
  const softmax = { alibiSlopes: undefined, softCap: undefined };
  const alike = { keys: shape(2, 16), values: shape(2, 16) };

  it("is the fused operator for shapes that are alike and scores without bias or cap", () => {
    expect(attentionKind(alike, softmax)).toBe("group-query");
    expect(attentionKind(alike, { ...softmax, alibiSlopes: [0.5] })).toBe("plain");
    expect(attentionKind(alike, { ...softmax, softCap: 30 })).toBe("plain");
    expect(attentionKind({ ...alike, keys: shape(1, 32) }, softmax)).toBe("plain");
    expect(attentionKind({ keys: shape(2, 12), values: shape(2, 12) }, softmax)).toBe("plain");
  });

  it("is plain where cached keys are expanded first", () => {
    const expanded = { encode: undefined, decode: new Float32Array(2 * 16 * 32) };
    expect(attentionKind({ ...alike, expanded }, softmax)).toBe("plain");
  });
});
