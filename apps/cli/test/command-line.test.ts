/**
 * The command as users have it: the build, in a process of its own. Skipped where there is no build.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { isBuilt, main, type Outcome, outcomeOf, start } from "./command.js";
import {
  CALIBRATION_TOKENS,
  makeFolder,
  ROPE_MODEL,
  removeFolder,
  temporaryFolder,
  VALIDATION_TOKENS,
} from "./support.js";
import { writeTinyModel, writeTinyTokens } from "./tiny-model.js";

const fast = ["--method", "svd-w"];

const kvfold = async (args: readonly string[]): Promise<Outcome> =>
  outcomeOf(start(process.execPath, [main, ...args], await temporaryFolder()));

async function untilThereIsSomethingIn(folder: string): Promise<void> {
  while ((await readdir(folder)).length === 0) await wait(20);
}

describe.skipIf(!isBuilt)("kvfold", () => {
  let folder: string;
  let half: string;

  beforeAll(async () => {
    folder = await makeFolder();
    half = join(folder, "half");
    const args = ["fold", ROPE_MODEL, "-o", half, "--keep", "1/2", ...fast];
    await outcomeOf(start(process.execPath, [main, ...args], folder));
    return () => removeFolder(folder);
  });

  it.each(["", "fold"])("%s --help goes to standard output", async (name) => {
    const { code, stdout, stderr } = await kvfold([...(name === "" ? [] : [name]), "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: kvfold ${name}`.trim());
    expect(stderr).toBe("");
  });

  it("prints one line of JSON and nothing else", async () => {
    const eval_ = await kvfold([
      "eval",
      ROPE_MODEL,
      half,
      "--tokens",
      VALIDATION_TOKENS,
      "--windows",
      "1",
      "--window",
      "128",
      "--json",
    ]);
    expect(eval_.stderr).toBe("");
    const { models } = JSON.parse(eval_.stdout) as { models: Record<string, unknown>[] };
    const figures = ["nll", "perplexity", "tokens", "ratio", "bootstrap"];
    const divergences = ["kl", "changedChoices"];
    expect(models.map((model) => Object.keys(model))).toEqual([
      ["path", ...figures, "positions", "cacheBytesPerToken"],
      ["path", ...figures, ...divergences, "positions", "cacheBytesPerToken"],
    ]);
    const output = join(await temporaryFolder(), "quarter");
    const fold = await kvfold(["fold", ROPE_MODEL, "-o", output, "--keep", "1/4", ...fast, "--json"]);
    expect(JSON.parse(fold.stdout)).toMatchObject({
      output,
      plan: { keep: "1/4" },
      seconds: expect.any(Number) as number,
      peakBytes: expect.any(Number) as number,
      cacheBytesPerToken: { before: 12_288, after: 3072 },
    });
  });

  it("streams text", async () => {
    const { stdout, code } = await kvfold([
      "generate",
      half,
      "--prompt",
      "Once upon",
      "--max-new-tokens",
      "8",
    ]);
    expect(code).toBe(0);
    expect(stdout.length).toBeGreaterThan(8);
    const json = await kvfold(["generate", half, "--prompt", "Once upon", "--max-new-tokens", "8", "--json"]);
    const { text, tokens, stoppedBy } = JSON.parse(json.stdout) as Record<string, unknown>;
    expect(`${text as string}\n`).toBe(stdout);
    expect({ tokens, stoppedBy }).toEqual({ tokens: 8, stoppedBy: "max-new-tokens" });
  });

  it("measures energy and draws it", async () => {
    const place = await temporaryFolder();
    const svg = join(place, "energy.svg");
    const model = await writeTinyModel(join(place, "tiny"));
    const args = [
      "--calibration",
      await writeTinyTokens(join(place, "tokens.u16")),
      "--windows",
      "1",
      "--window",
      "64",
      "--svg",
      svg,
      "--json",
    ];
    const { stdout } = await kvfold(["inspect", model, ...args]);
    expect(JSON.parse(stdout)).toMatchObject({ layers: 2, energy: { fractions: [0.125, 0.25, 0.5] } });
    expect(await readFile(svg, "utf8")).toMatch(/^<svg /);
  });

  it("times models", async () => {
    const { stdout } = await kvfold([
      "bench",
      half,
      "--contexts",
      "32",
      "--tokens",
      "4",
      "--repeats",
      "1",
      "--json",
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      measurements: [{ context: 32, decode: { ratio: 1 } }],
      skipped: [],
    });
  });

  it("says what was wrong, with the exit code for it", async () => {
    const usage = await kvfold(["fold", ROPE_MODEL, "--keep", "1/2", "--method", "magic"]);
    expect(usage.code).toBe(2);
    const missing = await kvfold(["eval", join(folder, "nowhere"), "--tokens", VALIDATION_TOKENS, "--json"]);
    expect(missing.code).toBe(1);
    expect(missing.stdout).toBe("");
    expect(JSON.parse(missing.stderr)).toMatchObject({ error: { code: "unreadable-file" } });
    const taken = await kvfold(["fold", ROPE_MODEL, "-o", half, "--keep", "1/2", ...fast]);
    expect(taken).toMatchObject({ code: 1, stderr: expect.stringContaining("--force") as string });
    const third = "--keep 1/3 --method mean".split(" ");
    const thirds = await kvfold(["fold", ROPE_MODEL, "-o", join(folder, "x"), ...third]);
    expect(thirds).toMatchObject({ code: 2, stderr: expect.stringMatching(/--keep 1\/3: .* 1\/4 and 1\/2/) });
  });

  it.each([
    ["SIGINT", 1, 130],
    ["SIGTERM", 1, 143],
    ["SIGINT", 2, 130],
  ] as const)("leaves nothing behind after %s, %d time(s)", async (signal, times, expected) => {
    const place = await temporaryFolder();
    const temporary = await temporaryFolder();
    const args = ["fold", ROPE_MODEL, "-o", join(place, "half"), "--keep", "1/2", "--method", "paper"];
    const child = start(process.execPath, [main, ...args, "--calibration", CALIBRATION_TOKENS], temporary);
    const outcome = outcomeOf(child);
    await untilThereIsSomethingIn(place);
    await wait(300);
    for (let count = 0; count < times; count++) child.kill(signal);
    const { code, stdout, stderr } = await outcome;
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
    expect(stderr).toContain("interrupted");
    expect(await readdir(place)).toEqual([]);
    expect(await readdir(temporary)).toEqual([]);
  });

  it("goes on after an interrupt with the same command, to the same bytes", async () => {
    const place = await temporaryFolder();
    const journal = join(place, ".half.kvfold-journal");
    const settings = "--keep 1/2 --method svd-a --heal attention --windows 2 --window 128 --resume";
    const args = (name: string) => {
      const paths = ["fold", ROPE_MODEL, "-o", join(place, name), "--calibration", CALIBRATION_TOKENS];
      return [...paths, ...settings.split(" ")];
    };
    const child = start(process.execPath, [main, ...args("half")], place);
    const outcome = outcomeOf(child);
    while (!existsSync(join(journal, "journal.json"))) await wait(20);
    child.kill("SIGINT");
    const { code, stderr } = await outcome;
    expect(code).toBe(130);
    expect(stderr).toContain(`what is finished is kept in ${journal}, continue with the same command`);
    expect(await readdir(place)).toEqual([".half.kvfold-journal"]);

    expect(await kvfold(args("half"))).toMatchObject({ code: 0 });
    expect(await readdir(place)).toEqual(["half"]);
    expect(await kvfold(args("whole"))).toMatchObject({ code: 0 });
    const weights = (name: string) => readFile(join(place, name, "onnx", "model.onnx_data"));
    expect((await weights("half")).equals(await weights("whole"))).toBe(true);
  });

  it("removes the export of a checkpoint when it is interrupted", async () => {
    const temporary = await temporaryFolder();
    const child = start(
      process.execPath,
      [main, "eval", ROPE_MODEL, "--tokens", VALIDATION_TOKENS],
      temporary,
    );
    const outcome = outcomeOf(child);
    await untilThereIsSomethingIn(temporary);
    await wait(300);
    child.kill("SIGINT");
    expect((await outcome).code).toBe(130);
    expect(await readdir(temporary)).toEqual([]);
  });

  it.skipIf(process.platform === "win32")("cleans up when a write fails", async () => {
    const place = await temporaryFolder();
    const output = join(place, "half");
    // A limit on file sizes stands for a full disk: writes fail in the middle of the weights.
    const script = `trap '' XFSZ; ulimit -f 2048; exec "$0" "$@"`;
    const args = [process.execPath, main, "fold", ROPE_MODEL, "-o", output, "--keep", "1/2", ...fast];
    const { code, stderr } = await outcomeOf(start("bash", ["-c", script, ...args], place));
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: .*(too large|EFBIG)/);
    expect(await readdir(place)).toEqual([]);
  });

  it
    .skipIf(process.platform !== "linux")
    .each([
      ["--version"],
      ["inspect", ROPE_MODEL, "--json"],
      ["generate", "HALF", "--prompt", "A", "--max-new-tokens", "900"],
    ])("says that standard output cannot be written: %s", async (...args) => {
    const words = args.map((word) => (word === "HALF" ? half : word));
    const script = [`"$0" "$@" > /dev/full`, process.execPath, main, ...words];
    const { code, stderr } = await outcomeOf(start("bash", ["-c", ...script], folder));
    expect(code).toBe(1);
    expect(stderr).toContain("standard output could not be written (ENOSPC)");
    expect(stderr).not.toContain("interrupted");
  });

  it("stops when nobody reads its output any more", async () => {
    const temporary = await temporaryFolder();
    const child = start(
      "bash",
      [
        "-c",
        `"$0" "$@" | head -c 1`,
        process.execPath,
        main,
        "generate",
        ROPE_MODEL,
        "--prompt",
        "A",
        "--max-new-tokens",
        "900",
      ],
      temporary,
    );
    const { stdout, stderr } = await outcomeOf(child);
    expect(stdout).toHaveLength(1);
    expect(stderr).toBe("");
    expect(await readdir(temporary)).toEqual([]);
  });

  it("replaces only on request", async () => {
    const output = join(await temporaryFolder(), "mine");
    await mkdir(output);
    await writeFile(join(output, "notes.txt"), "keep me");
    const { code, stderr } = await kvfold([
      "fold",
      ROPE_MODEL,
      "-o",
      output,
      "--keep",
      "1/2",
      ...fast,
      "--force",
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain("kvfold did not write it");
    expect(await readdir(output)).toEqual(["notes.txt"]);
  });
});
