import { executionProviders } from "@kvfold/runtime-node";
import { type Command, Option } from "commander";
import type { DeviceOptions } from "../models/open-device.js";
import { wholeNumber } from "./options.js";

/** Options of commands that run models, as commander keeps them. */
export type DeviceFlags = DeviceOptions;

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

/** The options as a job wants them. */
export const deviceOf = ({ device, threads, quiet }: DeviceFlags): DeviceOptions => ({
  device,
  threads,
  quiet,
});
