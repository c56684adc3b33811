import type { Shard } from "@kvfold/calibration";
import { DEFAULT_METHOD, type Metric, methods } from "@kvfold/converter";
import { Command, Option } from "commander";
import { CliError } from "../cli-error.js";
import { renderMeasured } from "../render/measured.js";
import { addCalibrationOptions, type CalibrationFlags, calibrationOf } from "./calibration-options.js";
import { addFoldDeviceOptions, type DeviceFlags, deviceOf } from "./device-options.js";
import { type CommandHost, printResult } from "./host.js";
import { addHubOptions, type HubFlags, hubOf } from "./hub-options.js";
import { addCommonOptions, type CommonOptions, METRICS, readShard, wholeNumber } from "./options.js";

interface MeasureFlags extends CommonOptions, HubFlags, CalibrationFlags, DeviceFlags {
  readonly output: string;
  readonly method?: string;
  readonly metric?: Metric;
  readonly seed: number;
  readonly shard?: Shard;
  readonly force?: boolean;
}

/** `kvfold measure`: the moments that a fold looks at, or a part of them. */
export function createMeasureCommand(host: CommandHost): Command {
  const command = new Command("measure")
    .summary("measure what a fold looks at, or a shard of it")
    .description(
      "Measures the moments that a method looks at, for fold --moments. Shards of a text can be measured on different machines; kvfold merge adds them.",
    )
    .argument("<model>", "checkpoint folder, decoder graph of another exporter, or owner/name on the Hub")
    .requiredOption("-o, --output <file>", "where the moments go, such as moments.safetensors")
    .addOption(
      new Option("--method <name>", `method to measure for (default: ${DEFAULT_METHOD})`).choices(
        methods.map(({ name }) => name),
      ),
    )
    .addOption(
      new Option(
        "--metric <name>",
        "metric that the fold will weigh errors by; loss also measures gradients, which takes a backward pass (default: output)",
      ).choices(METRICS),
    )
    .option(
      "--seed <number>",
      "of the tokens that --metric loss draws from the model's predictions",
      wholeNumber(0),
      0,
    )
    .option("--shard <i/n>", "measure part i of n of the windows: 3/16", readShard);
  for (const add of [addCalibrationOptions, addFoldDeviceOptions, addHubOptions]) add(command);
  command
    .option("--force", "replace a file that is there")
    .addHelpText("after", HELP)
    .action((model: string, flags: MeasureFlags) => runMeasure(host, model, flags));
  return addCommonOptions(command);
}

const HELP = `
Examples:
  kvfold measure ./model -o moments.safetensors --calibration text.txt
  kvfold measure ./model -o part-3.safetensors --calibration text.txt --shard 3/16
  kvfold measure ./model -o moments.safetensors --calibration text.txt --metric loss
  kvfold merge part-*.safetensors -o moments.safetensors
  kvfold fold ./model -o ./model-quarter --keep 1/4 --heal none --moments moments.safetensors`;

async function runMeasure(host: CommandHost, model: string, flags: MeasureFlags): Promise<void> {
  const { output, method, metric, seed, shard, force } = flags;
  const calibration = calibrationOf(flags);
  if (calibration === undefined)
    throw new CliError("calibration-missing", "give --calibration FILE: about 1 MB of what the model is for");
  const existing = force ? "replace" : "refuse";
  const options = {
    model,
    hub: hubOf(flags),
    output,
    method,
    metric,
    seed,
    shard,
    calibration,
    existing,
    ...deviceOf(flags),
  } as const;
  const result = await host.run("measure", options, flags);
  printResult(host, flags, result, (measured) => renderMeasured(measured, host.colours));
}
