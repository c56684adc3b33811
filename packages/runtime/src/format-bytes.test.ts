import { describe, expect, it } from "vitest";
import { formatBytes } from "./format-bytes.js";

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [12_288, "12.0 KiB"],
    [1_048_575, "1.0 MiB"],
    [12_582_912, "12.0 MiB"],
    [5.5 * 2 ** 30, "5.5 GiB"],
    [3 * 2 ** 40, "3.0 TiB"],
    [2048 * 2 ** 40, "2048.0 TiB"],
  ])("writes %d bytes as %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});
