import { fstatSync, writeSync } from "node:fs";
import { CliError } from "../cli-error.js";

/** What shells report of a program that a closed pipe ended: 128 and the number of SIGPIPE. */
const BROKEN_PIPE_EXIT_CODE = 141;

type FileStream = NodeJS.WriteStream & { readonly fd: number };

/** Standard output, and what became of what was written to it. */
export interface StandardOutput {
  /** Writes text as it is; after a failure nothing more. */
  readonly write: (text: string) => void;
  /** Waits until everything is written, or has failed. */
  readonly finish: () => Promise<void>;
  /** The exit code when the reader is gone, as `head` leaves a pipe; there is nobody to tell then. */
  readonly closedExitCode: number | undefined;
  /** Why it could not be written, for any other reason. */
  readonly failure: CliError | undefined;
}

/** Takes over standard output. At its first failure `onBroken` is called with the exit code for it. */
export function openStandardOutput(stream: FileStream, onBroken: (exitCode: number) => void): StandardOutput {
  let closedExitCode: number | undefined;
  let failure: CliError | undefined;
  const isBroken = () => closedExitCode !== undefined || failure !== undefined;
  const fail = (cause: NodeJS.ErrnoException) => {
    if (isBroken()) return;
    if (cause.code === "EPIPE") closedExitCode = BROKEN_PIPE_EXIT_CODE;
    else failure = notWritten(cause);
    onBroken(closedExitCode ?? 1);
  };
  stream.on("error", fail);
  const write = isFileLike(stream)
    ? (text: string) => writeAll(stream.fd, text)
    : (text: string) => void stream.write(text);
  return {
    write(text) {
      if (isBroken()) return;
      try {
        write(text);
      } catch (error) {
        fail(error as NodeJS.ErrnoException);
      }
    },
    async finish() {
      if (isBroken()) return;
      await new Promise<void>((resolve) => stream.write("", () => resolve()));
    },
    get closedExitCode() {
      return closedExitCode;
    },
    get failure() {
      return failure;
    },
  };
}

const notWritten = (cause: NodeJS.ErrnoException): CliError =>
  new CliError("write-failed", `standard output could not be written (${cause.code ?? cause.message})`, {
    cause,
  });

function isFileLike({ fd, isTTY }: FileStream): boolean {
  if (isTTY === true) return false;
  const info = fstatSync(fd);
  return info.isFile() || info.isCharacterDevice();
}

/** Node's own stream for files takes a short write, as on a disk that fills up, for a whole one. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.byteLength; ) done += writeSync(fd, bytes, done);
}
