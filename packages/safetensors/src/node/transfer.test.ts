import { describe, expect, it } from "vitest";
import { readFully, writeFully } from "./transfer.js";

interface Call {
  readonly offset: number;
  readonly length: number;
  readonly position: number | null;
}

/** A handle as Node's: it refuses 2^31 bytes and more at a time, and transfers at most `share` of what it is asked for. */
function fakeHandle(share: number) {
  const calls: Call[] = [];
  const transfer = async (_: unknown, offset: number, length: number, position: number | null) => {
    if (length > 2 ** 31 - 1) throw new RangeError(`length ${length} > 2147483647`);
    calls.push({ offset, length, position });
    const count = Math.ceil(length * share);
    return { bytesRead: count, bytesWritten: count, buffer: new Uint8Array(0) };
  };
  // Node's overloads are more than a fake needs.
  return { calls, write: transfer as never, read: transfer as never };
}

/** Never touched by the fakes, so the system gives it no memory. */
const large = new Uint8Array(2 ** 31 + 5);

const ends = (calls: readonly Call[]) => calls.map(({ offset, length }) => offset + length);

describe("writeFully", () => {
  it("writes 2 GiB and more in parts, one after the other", async () => {
    const handle = fakeHandle(1);
    await writeFully(handle, large);
    expect(handle.calls).toHaveLength(9);
    expect(handle.calls.slice(1).map(({ offset }) => offset)).toEqual(ends(handle.calls.slice(0, -1)));
    expect(ends(handle.calls).at(-1)).toBe(large.byteLength);
    expect(new Set(handle.calls.map(({ position }) => position))).toEqual(new Set([null]));
  });

  it("goes on where a short write ended, at the position asked for", async () => {
    const handle = fakeHandle(0.5);
    await writeFully(handle, new Uint8Array(4), 100);
    expect(handle.calls).toEqual([
      { offset: 0, length: 4, position: 100 },
      { offset: 2, length: 2, position: 102 },
      { offset: 3, length: 1, position: 103 },
    ]);
  });

  it("fails when the system takes nothing and reports nothing", async () => {
    await expect(writeFully(fakeHandle(0), new Uint8Array(4))).rejects.toThrow(/the system took none/);
  });
});

describe("readFully", () => {
  it("reads 2 GiB and more in parts", async () => {
    const handle = fakeHandle(1);
    await readFully(handle, large, { position: 3, path: "f" });
    expect(ends(handle.calls).at(-1)).toBe(large.byteLength);
    expect(handle.calls.every(({ offset, position }) => position === offset + 3)).toBe(true);
  });

  it("ends with an error at the end of a file that is too short", async () => {
    await expect(readFully(fakeHandle(0), new Uint8Array(4), { position: 3, path: "f" })).rejects.toThrow(
      "f: expected 4 bytes at 3, found 0; did the file change?",
    );
  });
});
