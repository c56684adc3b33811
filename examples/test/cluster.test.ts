import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Slurm, slurmObstacle, startSlurm } from "./slurm.js";

const place = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const script = (name: string) => place(`examples/cluster/${name}`);
const execute = promisify(execFile);

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-cluster-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const pathWith = (folder: string, path = process.env.PATH) => [folder, path].join(delimiter);

it("measure-shard.sh takes its shard from Kubernetes, which counts from 0", async () => {
  const bin = join(root, "echo");
  await mkdir(bin);
  await writeFile(join(bin, "kvfold"), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
  const env = { ...process.env, PATH: pathWith(bin), JOB_COMPLETION_INDEX: "2" };
  const parts = join(root, "pods");
  const args = ["model", "book.txt", parts, "16", "--windows", "64"];
  const { stdout } = await execute(script("measure-shard.sh"), args, { env });
  expect(stdout).toBe(
    `measure model --calibration book.txt --shard 3/16 -o ${parts}/3-of-16.safetensors --force --quiet --windows 64\n`,
  );
  const { JOB_COMPLETION_INDEX: _, ...outside } = env;
  await expect(execute(script("measure-shard.sh"), args, { env: outside })).rejects.toThrow(/sbatch --array/);
});

it("kubernetes.yaml installs kvfold, and measures with it", async () => {
  const bin = join(root, "image");
  await mkdir(bin);
  // As in the image, there is no kvfold before npm has put it there.
  const npm = `#!/bin/sh\necho npm "$@"\nprintf '#!/bin/sh\\necho kvfold "$@"\\n' > ${bin}/kvfold\nchmod +x ${bin}/kvfold\n`;
  await writeFile(join(bin, "npm"), npm, { mode: 0o755 });
  const data = join(root, "claim");
  await mkdir(data);
  await symlink(script("measure-shard.sh"), join(data, "measure-shard.sh"));
  const job = await readFile(script("kubernetes.yaml"), "utf8");
  const listOf = (field: string): readonly string[] => {
    const [, lines = ""] = new RegExp(`^ +${field}:\\n((?: +- .*\\n)+)`, "m").exec(job) ?? [];
    return [...lines.matchAll(/- (.*)/gu)].map(([, item = ""]) =>
      item.replace(/^"(.*)"$/u, "$1").replaceAll("/data", data),
    );
  };
  const [command = "", ...options] = [...listOf("command"), ...listOf("args")];
  const env = { PATH: pathWith(bin), JOB_COMPLETION_INDEX: "15" };
  const { stdout } = await execute(command, options, { env });
  expect(stdout.split("\n")).toEqual([
    "npm install --global kvfold",
    `kvfold measure ${data}/model --calibration ${data}/book.txt --shard 16/16 -o ${data}/parts/16-of-16.safetensors --force --quiet`,
    "",
  ]);
});

it("fold-shard.sh and kubernetes-fold.yaml give each pod a shard of one exchange", async () => {
  const bin = join(root, "fold-echo");
  await mkdir(bin);
  await writeFile(join(bin, "kvfold"), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
  const env = { ...process.env, PATH: pathWith(bin), JOB_COMPLETION_INDEX: "2" };
  const job = await readFile(script("kubernetes-fold.yaml"), "utf8");
  const [, lines = ""] = /^ +args:\n((?: +- .*\n)+)/m.exec(job) ?? [];
  const args = Array.from(lines.matchAll(/- (.*)/gu), ([, item = ""]) => item.replace(/^"(.*)"$/u, "$1"));
  const { stdout } = await execute(script("fold-shard.sh"), [...args, "--windows", "64"], { env });
  expect(stdout).toBe(
    "fold /data/model -o /data/model-quarter --keep 1/4 --calibration /data/book.txt --shard 3/16 --exchange /data/model-quarter.exchange --resume --quiet --windows 64\n",
  );
});

const obstacle = slurmObstacle();
/** Where it is required, it fails to start instead. */
const isSkipped = obstacle !== undefined && process.env.KVFOLD_REQUIRE_SLURM !== "1";

describe.skipIf(isSkipped)(`on Slurm (skipped where it cannot run: ${obstacle ?? ""})`, () => {
  let slurm: Slurm;
  beforeAll(async () => {
    slurm = await startSlurm(join(root, "slurm"), 2);
    await mkdir(join(root, "bin"));
    await symlink(place("apps/cli/bin/kvfold.js"), join(root, "bin/kvfold"));
  });
  afterAll(() => slurm?.stop());

  /** Runs a job to its end, and says how it ended. */
  const run = async (...args: string[]): Promise<string> => {
    const { environment } = slurm;
    const options = {
      env: { ...environment, PATH: pathWith(join(root, "bin"), environment.PATH) },
      cwd: root,
    };
    const id = (await execute("sbatch", ["--parsable", ...args], options)).stdout.trim();
    for (;;) {
      const { stdout } = await execute("scontrol", ["show", "job", "-o", id], options);
      const states = new Set(Array.from(stdout.matchAll(/JobState=(\w+)/g), ([, state]) => state));
      if (!["PENDING", "CONFIGURING", "RUNNING", "COMPLETING"].some((state) => states.has(state)))
        return [...states].join();
      await sleep(100);
    }
  };

  it("a job array measures; a lost shard is named and measured again; then the fold succeeds", async () => {
    const [parts, folded] = [join(root, "parts"), join(root, "folded")];
    const model = place("assets/models/prose-6m");
    const small = ["--windows", "2", "--window", "16", "--method", "svd-a"];
    const measure = [
      script("measure-shard.sh"),
      model,
      place("assets/text/calibration.u16"),
      parts,
      "2",
      ...small,
    ];
    const fold = [script("merge-and-fold.sh"), model, parts, folded, "1/2", "--method", "svd-a"];
    expect(await run("--array=1-2", ...measure)).toBe("COMPLETED");
    const lost = join(parts, "2-of-2.safetensors");
    const before = await readFile(lost);
    await rm(lost);
    expect(await run(...fold)).toBe("FAILED");
    expect(await readFile(join(root, "kvfold-fold.log"), "utf8")).toContain("shard 2/2 is missing");
    expect(await run("--array=2", ...measure)).toBe("COMPLETED");
    expect(before.equals(await readFile(lost))).toBe(true);
    expect(await run(...fold)).toBe("COMPLETED");
    expect(JSON.parse(await readFile(join(folded, "kvfold.json"), "utf8"))).toMatchObject({
      model: "prose-6m",
    });
  });

  it("a job array folds and heals together; a lost shard is named, and all go on when they are started again", async () => {
    const folded = join(root, "healed");
    const fold = [
      script("fold-shard.sh"),
      place("assets/models/prose-6m"),
      place("assets/text/calibration.u16"),
      folded,
      "1/2",
      "2",
    ];
    const small = ["--windows", "4", "--window", "16", "--method", "latent", "--exchange-timeout"];
    expect(await run("--array=1", ...fold, ...small, "2s")).toBe("FAILED");
    expect(await readFile(join(root, "kvfold-fold-shard-1.log"), "utf8")).toMatch(
      /part of block 0 .* did not come within 2 s from shard 2\/2 \(never started\)/,
    );
    expect(await run("--array=1-2", ...fold, ...small, "1m")).toBe("COMPLETED");
    expect(JSON.parse(await readFile(join(folded, "kvfold.json"), "utf8"))).toMatchObject({
      model: "prose-6m",
      calibration: { windows: 4 },
    });
    await expect(stat(`${folded}.exchange`)).rejects.toThrow(/ENOENT/);
  });
});
