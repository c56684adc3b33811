import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { CalibrationError } from "../calibration-error.js";
import { type HiddenStates, type HiddenStatesFactory, memoryHiddenStates } from "../hidden-states.js";

export declare namespace spillingHiddenStates {
  interface Options {
    /** A folder for the spill files, which are removed on `dispose`. */
    readonly folder: string;
    /** Streams of more bytes than this live in a file. */
    readonly memoryBytes?: number;
  }
}

/**
 * Hidden states in memory while they are small, else in a temporary file, so that calibration memory does not grow
 * with the amount of text.
 *
 * @throws {CalibrationError} `storage-failed` from reads and writes when the disk is full or broken.
 */
export function spillingHiddenStates({
  folder,
  memoryBytes = 512 * 2 ** 20,
}: spillingHiddenStates.Options): HiddenStatesFactory {
  return async (windows, size) =>
    4 * windows * size <= memoryBytes
      ? memoryHiddenStates(windows, size)
      : fileHiddenStates(folder, windows, size);
}

async function fileHiddenStates(folder: string, windows: number, size: number): Promise<HiddenStates> {
  const directory = await mkdtemp(join(folder, "kvfold-states-"));
  const path = join(directory, "states.f32");
  const file = await open(path, "w+");
  return {
    windows,
    read: (index) => readStates(file, path, index * 4 * size, size),
    write: (index, states) => writeStates(file, path, index * 4 * size, states),
    async dispose() {
      await file.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function readStates(
  file: FileHandle,
  path: string,
  position: number,
  size: number,
): Promise<Float32Array> {
  const states = new Float32Array(size);
  const bytes = new Uint8Array(states.buffer);
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.byteLength - done, position + done);
    if (bytesRead === 0)
      throw new CalibrationError("storage-failed", `${path}: hidden states were never written`);
    done += bytesRead;
  }
  return states;
}

async function writeStates(
  file: FileHandle,
  path: string,
  position: number,
  states: Float32Array,
): Promise<void> {
  const bytes = new Uint8Array(states.buffer, states.byteOffset, states.byteLength);
  try {
    for (let done = 0; done < bytes.byteLength; ) {
      done += (await file.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten;
    }
  } catch (cause) {
    throw new CalibrationError(
      "storage-failed",
      `${path}: hidden states could not be written (${(cause as Error).message})`,
      {
        cause,
      },
    );
  }
}
