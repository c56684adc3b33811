import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { addCounts, countOne, countVitest, formatCounts } from "../../run/counts.mjs";
import { root } from "../src/workspace";

const passing = { status: "passed", assertionResults: [{ status: "passed" }] };

/** A report of Vitest with two passed tests and one of each other kind. */
const report = {
  numPassedTests: 2,
  numFailedTests: 1,
  numPendingTests: 1,
  numTodoTests: 1,
  testResults: [passing, { status: "failed", assertionResults: [{ status: "failed" }] }],
};

describe("counts", () => {
  it("come from Vitest's report", () => {
    expect(countVitest(report, 1)).toEqual({ passed: 2, failed: 1, skipped: 2 });
  });

  it("show a file that could not be loaded", () => {
    const testResults = [passing, { status: "failed", assertionResults: [] }];
    expect(countVitest({ ...report, numFailedTests: 0, testResults }, 1).failed).toBe(1);
  });

  it("show a failure of Vitest itself", () => {
    expect(countVitest({ ...report, numFailedTests: 0, testResults: [passing] }, 1).failed).toBe(1);
    expect(countVitest(undefined, 0).failed).toBe(1);
  });

  it("are written with skips only if there are some", () => {
    const passed = countOne("passed");
    expect(formatCounts(addCounts([passed, countOne("failed"), passed]))).toBe("2 passed, 1 failed");
    expect(formatCounts(addCounts([passed, countOne("skipped")]))).toBe("1 passed, 0 failed, 1 skipped");
  });
});

/** Runs `runProgram` around a child's code in a process of its own, as `tooling/run.mjs` does. */
function startWrapper(childCode: string) {
  const code = `
    import { guardSignals, runProgram } from "./tooling/run/child.mjs";
    guardSignals();
    process.exitCode = await runProgram(process.execPath, ["--eval", ${JSON.stringify(childCode)}]);`;
  // A process group of its own has no terminal, as in continuous integration.
  return spawn(process.execPath, ["--input-type=module", "--eval", code], { cwd: root, detached: true });
}

describe("a program that is run for the caller", () => {
  it("passes on its exit code", async () => {
    const [code] = (await once(startWrapper("process.exit(7)"), "close")) as [number];
    expect(code).toBe(7);
  });

  it("gets a signal that comes twice only once, and ends before its wrapper", async () => {
    const wrapper = startWrapper(`
      let count = 0;
      process.on("SIGINT", () => {
        count += 1;
        setTimeout(() => { process.stdout.write("signals: " + count); process.exit(3); }, 300);
      });
      setTimeout(() => process.exit(4), 20_000);
      process.stdout.write("ready;");
    `);
    let output = "";
    wrapper.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (text.includes("ready;")) for (const _ of [1, 2]) wrapper.kill("SIGINT");
      output += text;
    });
    const [code] = (await once(wrapper, "close")) as [number];
    expect({ code, output }).toEqual({ code: 3, output: "ready;signals: 1" });
  });
});
