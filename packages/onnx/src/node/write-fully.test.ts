import { describe, expect, it } from "vitest";
import { writeFully } from "./write-fully.js";

/** A handle as Node's: it refuses 2^31 bytes and more at a time, and takes `share` of what it is given. */
function fakeHandle(share: number) {
  const calls: [offset: number, length: number][] = [];
  const write = async (_: unknown, offset: number, length: number) => {
    if (length > 2 ** 31 - 1) throw new RangeError(`length ${length} > 2147483647`);
    calls.push([offset, length]);
    return { bytesWritten: Math.ceil(length * share) };
  };
  // Node's overloads are more than a fake needs.
  return { calls, write: write as never };
}

describe("writeFully", () => {
  it("writes 2 GiB and more in parts, one after the other", async () => {
    const handle = fakeHandle(1);
    // Never touched, so the system gives it no memory.
    await writeFully(handle, new Uint8Array(2 ** 31 + 5));
    let end = 0;
    for (const [offset, length] of handle.calls) {
      expect(offset).toBe(end);
      end += length;
    }
    expect(end).toBe(2 ** 31 + 5);
  });

  it("goes on where a short write ended", async () => {
    const handle = fakeHandle(0.5);
    await writeFully(handle, new Uint8Array(4));
    expect(handle.calls).toEqual([
      [0, 4],
      [2, 2],
      [3, 1],
    ]);
  });

  it("fails when the system takes nothing and reports nothing", async () => {
    await expect(writeFully(fakeHandle(0), new Uint8Array(4))).rejects.toThrow(/the system took none/);
  });
});
