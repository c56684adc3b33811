import type { Dtype } from "@kvfold/decoder";
import { Command, Option } from "commander";
import { renderBench } from "../render/bench.js";
import { addDeviceOptions, type DeviceFlags, deviceOf } from "./device-options.js";
import { type CommandHost, printResult } from "./host.js";
import { addHubOptions, type HubFlags, hubOf } from "./hub-options.js";
import {
  addCommonOptions,
  type CommonOptions,
  dtypeOption,
  POLICY_HELP,
  policyLists,
  wholeNumber,
  wholeNumbers,
} from "./options.js";

interface BenchFlags extends CommonOptions, DeviceFlags, HubFlags {
  readonly contexts: readonly number[];
  readonly tokens: number;
  readonly repeats: number;
  readonly seed: number;
  readonly dtype?: Dtype;
  readonly cache?: readonly string[];
}

/** `kvfold bench`: speed of models, measured in turn. */
export const createBenchCommand = (host: CommandHost): Command =>
  addCommonOptions(
    addDeviceOptions(addHubOptions(new Command("bench")))
      .summary("time prefill and decoding, and compare models")
      .description(
        "Times prefill and decoding of models on random tokens. Models take turns; medians, and ratios to the first model.",
      )
      .argument(
        "<models...>",
        "folders with onnx/model.onnx, .onnx files, checkpoints, or owner/name on the Hub",
      )
      .addOption(
        new Option("--contexts <lengths>", "tokens in the cache at the end")
          .argParser(wholeNumbers(2))
          .default([128, 512, 1024], "128,512,1024"),
      )
      .option("--tokens <count>", "tokens decoded per measurement", wholeNumber(1), 32)
      .option("--repeats <count>", "measurements per model and context", wholeNumber(1), 5)
      .option("--seed <number>", "for the random tokens", wholeNumber(0), 0)
      .option(
        "--cache <policies...>",
        "also measure with policies that drop tokens of the cache, one list at a time: keydiff:0.5 streaming:512t",
        policyLists,
      )
      .addOption(dtypeOption())
      .addHelpText("after", `${HELP}\n${POLICY_HELP}`)
      .action((models: readonly string[], flags: BenchFlags) => runBench(host, models, flags)),
  );

const HELP = `
Example:
  kvfold bench ./model ./model-half --contexts 256,1024,4096`;

async function runBench(host: CommandHost, models: readonly string[], flags: BenchFlags): Promise<void> {
  const { contexts, tokens, repeats, seed, dtype, cache } = flags;
  const result = await host.run(
    "bench",
    { models, hub: hubOf(flags), ...deviceOf(flags), contexts, tokens, repeats, seed, dtype, cache },
    flags,
  );
  printResult(host, flags, result, (bench) => renderBench(bench, host.colours));
}
