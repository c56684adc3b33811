import type { Dtype } from "@kvfold/decoder";
import { RuntimeError, type SessionProvider } from "@kvfold/runtime";
import { chooseDevice, type ExecutionProvider, nodeProvider } from "@kvfold/runtime-node";
import { CliError } from "../cli-error.js";
import type { JobContext } from "../jobs/job.js";

/** What runs the models of a job; jobs have these among their options. */
export interface DeviceOptions {
  /** The CPU unless given; `auto` for the first GPU that works, else the CPU. */
  readonly device?: ExecutionProvider | "auto" | undefined;
  /** Threads of one operator on the CPU; ONNX Runtime's own number unless given. */
  readonly threads?: number | undefined;
  /** Bytes of GPU memory that hidden states may take; 4 GiB unless given. */
  readonly deviceBytes?: number | undefined;
  /** Keeps to itself what `auto` took. */
  readonly quiet?: boolean | undefined;
}

/** What graphs of these weights compute with, where that is known before they are found. */
export const floatType = (dtype: Dtype | undefined): chooseDevice.Options["type"] =>
  dtype === "fp16" ? "float16" : undefined;

/** A device that works. */
export interface OpenedDevice {
  readonly device: ExecutionProvider;
  readonly provider: SessionProvider;
}

/**
 * Finds the device before any other work starts, and says which one `auto` took.
 *
 * @param type - What graphs compute with, where that is known.
 * @throws {CliError} `usage` for a device that is not here, or does not compute with this type.
 */
export async function openDevice(
  {
    device: wanted = "cpu",
    threads,
    deviceBytes,
    gpuBuffers,
    quiet,
  }: DeviceOptions & Pick<nodeProvider.Options, "gpuBuffers">,
  { onNotice }: Pick<JobContext, "onNotice">,
  type?: chooseDevice.Options["type"],
): Promise<OpenedDevice> {
  const device = wanted === "cpu" ? wanted : await findDevice(wanted, quiet ? () => {} : onNotice, type);
  const provider = nodeProvider({ executionProviders: [device], threads, deviceBytes, gpuBuffers });
  return { device, provider };
}

async function findDevice(
  wanted: ExecutionProvider | "auto",
  onNotice: JobContext["onNotice"],
  type: chooseDevice.Options["type"],
): Promise<ExecutionProvider> {
  try {
    const { device, reason } = await chooseDevice(wanted, { type });
    if (wanted === "auto") onNotice(`device: ${reason}`);
    return device;
  } catch (cause) {
    if (!RuntimeError.isInstance(cause) || cause.code === "runtime-missing") throw cause;
    throw new CliError("usage", cause.message, { option: "device", cause });
  }
}
