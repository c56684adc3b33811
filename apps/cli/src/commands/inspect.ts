import { basename, resolve } from "node:path";
import { writeWholeFile } from "@kvfold/converter/node";
import { Command } from "commander";
import { CliError } from "../cli-error.js";
import { checkFileTarget } from "../files/whole-file.js";
import { energySvg } from "../render/energy-svg.js";
import { renderInspection } from "../render/inspection.js";
import { addCalibrationOptions, type CalibrationFlags, calibrationOf } from "./calibration-options.js";
import { type CommandHost, printResult } from "./host.js";
import { addHubOptions, type HubFlags, hubOf } from "./hub-options.js";
import { addCommonOptions, type CommonOptions } from "./options.js";
import { refuseGiven } from "./refuse-given.js";

interface InspectFlags extends CalibrationFlags, CommonOptions, HubFlags {
  readonly svg?: string;
  readonly force?: boolean;
}

/** `kvfold inspect`: what a model's cache costs, and where its energy lies. */
export function createInspectCommand(host: CommandHost): Command {
  const command = new Command("inspect")
    .summary("show a model's heads and the size of its KV cache")
    .description(
      "Shows a model's heads and the size of its KV cache.\nWith --calibration it also shows, for each layer, the share of the energy of keys (before and after RoPE) and values in the top 12.5, 25 and 50 % of directions, and how much of it is lost by latents that keep such a share of the cache.",
    )
    .argument(
      "<model>",
      "checkpoint folder, owner/name on the Hub, folder with onnx/model.onnx, or .onnx file",
    )
    .option("--svg <file>", "draw the energies (with --calibration)")
    .option("--force", "replace an earlier drawing")
    .addHelpText("after", HELP)
    .action((model: string, flags: InspectFlags, own: Command) => {
      if (flags.svg === undefined)
        refuseGiven(own, ["force"], "replaces a drawing; add --svg FILE, or leave it out");
      return runInspect(host, model, flags);
    });
  return addCommonOptions(addHubOptions(addCalibrationOptions(command)));
}

const HELP = `
Examples:
  kvfold inspect ./model
  kvfold inspect ./model --calibration text.txt --windows 32 --svg energy.svg`;

async function runInspect(host: CommandHost, model: string, flags: InspectFlags): Promise<void> {
  const { svg, force } = flags;
  const existing = force ? "replace" : "refuse";
  const calibration = calibrationOf(flags);
  if (svg !== undefined) {
    if (calibration === undefined)
      throw new CliError("usage", "--svg draws energies: add --calibration FILE");
    await checkFileTarget(svg, existing);
  }
  const result = await host.run("inspect", { model, hub: hubOf(flags), calibration }, flags);
  if (svg !== undefined && result.energy !== undefined) {
    await writeWholeFile(svg, energySvg(result.energy, { title: basename(resolve(model)) }), { existing });
  }
  printResult(host, flags, result, (inspection) => renderInspection(inspection, host.colours));
}
