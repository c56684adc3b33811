import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import { openStandardOutput } from "../src/ui/standard-output.js";
import { temporaryFolder } from "./support.js";

type Stream = Parameters<typeof openStandardOutput>[0];

/** Standard output that is a pipe, and fails from the `count`-th write on as pipes do: later, and each time again. */
function failingPipe(code: string, count = 1): Stream {
  let writes = 0;
  const stream = new Writable({
    autoDestroy: false,
    write(_, __, done) {
      setImmediate(done, ++writes < count ? null : Object.assign(new Error(`${code}: write`), { code }));
    },
  });
  return Object.assign(stream, { fd: openFile("/dev/zero", "r"), isTTY: true }) as unknown as Stream;
}

function openFile(path: string, flags: string): number {
  const fd = openSync(path, flags);
  onTestFinished(() => closeSync(fd));
  return fd;
}

/** Standard output that is a file. */
const fileStream = (path: string): Stream =>
  Object.assign(new Writable({ write: (_, __, done) => done() }), {
    fd: openFile(path, "w"),
  }) as unknown as Stream;

const opened = (stream: Stream) => {
  const exitCodes: number[] = [];
  return { exitCodes, output: openStandardOutput(stream, (code) => exitCodes.push(code)) };
};

describe("openStandardOutput", () => {
  it("is quiet about a reader that went away, once", async () => {
    const { output, exitCodes } = opened(failingPipe("EPIPE", 2));
    for (let count = 0; count < 5; count++) output.write("text");
    await output.finish();
    expect(exitCodes).toEqual([141]);
    expect(output).toMatchObject({ closedExitCode: 141, failure: undefined });
  });

  it("fails for any other reason, once", async () => {
    const { output, exitCodes } = opened(failingPipe("EIO"));
    for (let count = 0; count < 5; count++) output.write("text");
    await output.finish();
    expect(exitCodes).toEqual([1]);
    expect(output.closedExitCode).toBeUndefined();
    expect(output.failure).toMatchObject({
      code: "write-failed",
      message: "standard output could not be written (EIO)",
    });
  });

  it.skipIf(process.platform !== "linux")("fails on a full disk at once", async () => {
    const { output, exitCodes } = opened(fileStream("/dev/full"));
    output.write("text");
    expect(exitCodes).toEqual([1]);
    expect(output.failure?.message).toBe("standard output could not be written (ENOSPC)");
    output.write("more");
    await output.finish();
    expect(exitCodes).toEqual([1]);
  });

  it("writes whole texts to files", async () => {
    const path = join(await temporaryFolder(), "out.json");
    const { output, exitCodes } = opened(fileStream(path));
    for (const text of ["größer", " als ", "a".repeat(2 ** 20)]) output.write(text);
    await output.finish();
    expect(readFileSync(path, "utf8")).toBe(`größer als ${"a".repeat(2 ** 20)}`);
    expect(exitCodes).toEqual([]);
  });
});
