import { describe, expect, it } from "vitest";
import { linkSetting, oneOf, readHash, settingsAsHash } from "./link-setting.js";

const keep = linkSetting("keep", "1/4", oneOf(["1/2", "1/4", "1/8"]));
const windows = linkSetting("windows", 8, oneOf([4, 8, 16]));

describe("settings of a link", () => {
  it("carry what differs from the beginning, and come back", () => {
    keep.value = "1/8";
    windows.value = 16;
    const hash = settingsAsHash();
    expect(hash).toBe("keep=1/8&windows=16");
    expect(readHash("#")).toEqual([]);
    expect([keep.value, windows.value, settingsAsHash()]).toEqual(["1/4", 8, ""]);
    expect(readHash(`#${hash}`)).toEqual([]);
    expect([keep.value, windows.value]).toEqual(["1/8", 16]);
  });

  it("that the page does not know are named, and change nothing", () => {
    readHash("");
    expect(readHash("#keep=1/3&windows=8.0&colour=red&keep2")).toEqual([
      "keep=1/3",
      "windows=8.0",
      "colour=red",
      "keep2=",
    ]);
    expect([keep.value, windows.value]).toEqual(["1/4", 8]);
  });
});
