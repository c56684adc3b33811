import { describe, expect, it } from "vitest";
import { catchError } from "../test/catch-error.js";
import { bytesSource } from "./byte-source.js";

describe("bytesSource", () => {
  const source = bytesSource(Uint8Array.of(1, 2, 3));

  it("reads half-open ranges, empty ones too", async () => {
    expect(await source.read(1, 3)).toEqual(Uint8Array.of(2, 3));
    expect(await source.read(3, 3)).toEqual(new Uint8Array(0));
  });

  it.each([
    [0, 4],
    [-1, 2],
    [2, 1],
    [0, 0.5],
    [0, Number.NaN],
  ])("refuses [%d, %d)", async (start, end) => {
    expect((await catchError(() => source.read(start, end))).code).toBe("truncated");
  });
});
