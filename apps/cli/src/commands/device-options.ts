import { executionProviders } from "@kvfold/runtime-node";
import { type Command, Option } from "commander";
import type { DeviceOptions } from "../models/open-device.js";
import { byteCount, wholeNumber } from "./options.js";

/** Options of commands that run models, as commander keeps them. */
export interface DeviceFlags extends Omit<DeviceOptions, "deviceBytes"> {
  readonly deviceMemory?: number | undefined;
}

/** Adds the options that say what runs models. */
export const addDeviceOptions = (command: Command): Command =>
  command
    .addOption(
      new Option(
        "--device <name>",
        "device that runs the model; auto takes a GPU that works, or else the CPU (default: cpu)",
      ).choices(["auto", ...executionProviders]),
    )
    .option("--threads <count>", "threads of the CPU (default: one for each core)", wholeNumber(1));

/** The same, and how much of a GPU's memory commands may take that run calibration text through a model. */
export const addFoldDeviceOptions = (command: Command): Command =>
  addDeviceOptions(command).option(
    "--device-memory <size>",
    "memory of a GPU for the hidden states of the text (default: 4GiB)",
    byteCount,
  );

/** The options as a job wants them. */
export const deviceOf = ({ device, threads, deviceMemory, quiet }: DeviceFlags): DeviceOptions => ({
  device,
  threads,
  deviceBytes: deviceMemory,
  quiet,
});
