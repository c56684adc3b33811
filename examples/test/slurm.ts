import { execFile, execFileSync, spawn } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

/** A Slurm of one node, which lives in a folder. */
export interface Slurm {
  /** For commands that talk to it. */
  readonly environment: NodeJS.ProcessEnv;
  stop(): Promise<void>;
}

const PATH = [process.env.PATH, "/usr/sbin", "/sbin"].join(delimiter);
const DAEMONS = ["munged", "slurmctld", "slurmd"];

/** What keeps Slurm from running here; nothing where it can. */
export function slurmObstacle(): string | undefined {
  const missing = [...DAEMONS, "sbatch"].filter((name) => !isInstalled(name));
  if (missing.length > 0)
    return `${missing.join(", ")} missing: apt-get install slurmctld slurmd slurm-client munge`;
  return process.getuid?.() === 0 ? undefined : "its daemons must run as root";
}

function isInstalled(name: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`], { env: { PATH }, stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Starts the daemons of a Slurm of one node with `cpus` CPUs. */
export async function startSlurm(folder: string, cpus: number): Promise<Slurm> {
  const at = (name: string) => join(folder, name);
  for (const name of ["state", "spool", "munge"]) await mkdir(at(name), { recursive: true });
  await writeFile(at("munge/key"), crypto.getRandomValues(new Uint8Array(128)), { mode: 0o400 });
  await chmod(at("munge"), 0o755);
  await writeFile(at("slurm.conf"), configuration(folder, cpus));
  const environment = { ...process.env, PATH, SLURM_CONF: at("slurm.conf") };
  const start = (name: string, ...args: string[]) => {
    const child = spawn(name, args, { env: environment, stdio: "ignore" });
    return { stop: () => stopped(child) };
  };
  const munge = [
    "--foreground",
    "--force",
    `--socket=${at("munge/socket")}`,
    `--key-file=${at("munge/key")}`,
  ];
  const files = [
    `--log-file=${at("munge/log")}`,
    `--pid-file=${at("munge/pid")}`,
    `--seed-file=${at("munge/seed")}`,
  ];
  const daemons = [start("munged", ...munge, ...files)];
  await sleep(300);
  daemons.push(start("slurmctld", "-D", "-i"), start("slurmd", "-D", "-N", "node"));
  const slurm: Slurm = {
    environment,
    async stop() {
      for (const daemon of daemons.toReversed()) await daemon.stop();
    },
  };
  try {
    await ready(environment);
    return slurm;
  } catch (error) {
    await slurm.stop();
    const logs = ["slurmctld.log", "slurmd.log"].map((name) => readFile(at(name), "utf8").catch(() => ""));
    throw new Error(`Slurm did not start:\n${(await Promise.all(logs)).join("\n").slice(-4000)}`, {
      cause: error,
    });
  }
}

async function stopped(child: ReturnType<typeof spawn>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await Promise.race([gone, sleep(3000, undefined, { ref: false })]);
  child.kill("SIGKILL");
  await gone;
}

async function ready(env: NodeJS.ProcessEnv): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const found = await promisify(execFile)("sinfo", ["-h", "-o", "%T"], { env }).catch(() => undefined);
    if (found?.stdout.trim() === "idle") return;
    await sleep(100);
  }
  throw new Error("the node is not idle");
}

const configuration = (folder: string, cpus: number): string => `
ClusterName=kvfold
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=${PORT}
SlurmdPort=${PORT + 1}
AuthType=auth/munge
AuthInfo=socket=${folder}/munge/socket
CryptoType=crypto/munge
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_min_interval=1,defer_batch
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=node NodeHostname=${hostname()} NodeAddr=127.0.0.1 CPUs=${cpus} State=UNKNOWN
PartitionName=all Nodes=node Default=YES MaxTime=INFINITE State=UP
`;

const PORT = 20_000 + (process.pid % 20_000);
