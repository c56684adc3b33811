import { expect, it } from "vitest";
import { openDevice } from "../src/models/open-device.js";
import { withOptionFlag } from "../src/option-flag.js";
import { failureOf } from "./support.js";

/** DirectML is for Windows, Core ML for macOS. */
const ELSEWHERE = process.platform === "win32" ? "coreml" : "dml";

it("refuses a device that this ONNX Runtime does not have, and names those it has", async () => {
  const failure = await failureOf(openDevice({ device: ELSEWHERE }, { onNotice() {} }));
  expect(failure).toMatchObject({ code: "usage", option: "device" });
  expect(withOptionFlag(failure as unknown as Error)).toMatch(
    new RegExp(`^--device: expected one of .*cpu.*, found ${ELSEWHERE}$`),
  );
});

it("says which device auto took, and nothing of one that was asked for", async () => {
  const notices: string[] = [];
  const onNotice = (text: string) => void notices.push(text);
  expect((await openDevice({}, { onNotice })).device).toBe("cpu");
  expect(notices).toEqual([]);
  const { device } = await openDevice({ device: "auto" }, { onNotice });
  expect(notices).toEqual([expect.stringMatching(new RegExp(`^device: ${device}, `))]);
  await openDevice({ device: "auto", quiet: true }, { onNotice });
  expect(notices).toHaveLength(1);
});
