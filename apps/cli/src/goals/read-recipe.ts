import type { planFold } from "@kvfold/converter";
import { readPlanRequest } from "@kvfold/converter/internals";
import { CliError } from "../cli-error.js";
import { readJsonObject } from "../files/read-json-object.js";
import { shortMessage } from "../short-message.js";
import type { CalibrationOptions, CalibrationSummary } from "../tokens/calibration-windows.js";

/** A fold that was made before: what was asked for, and of which model and text. */
export interface Recipe {
  /** The options of its plan. */
  readonly request: planFold.Options;
  /** The version of kvfold that made it. */
  readonly version: string | undefined;
  /** What the model was called. */
  readonly model: string | undefined;
  /** The text that it was calibrated on; `undefined` where there was none. */
  readonly calibration: Pick<CalibrationSummary, "windows" | "window" | "sha256" | "bosToken"> | undefined;
}

/**
 * Reads the `kvfold.json` of an earlier fold.
 *
 * @throws {CliError} `unreadable-file` or `malformed-file`.
 * @throws {ConverterError} `invalid-option` for options that no fold has.
 */
export async function readRecipe(path: string): Promise<Recipe> {
  const record = await readRecord(path);
  const { request, kvfold, model, calibration } = record;
  if (request === undefined)
    throw new CliError(
      "malformed-file",
      `${path} does not say what was asked of the fold (field request): it is not the kvfold.json of one, or an older version wrote it; fold again with the same options`,
    );
  return {
    request: readPlanRequest(request),
    version: textOf(kvfold),
    model: textOf(model),
    calibration: calibration === null || calibration === undefined ? undefined : readText(path, calibration),
  };
}

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

async function readRecord(path: string): Promise<Readonly<Record<string, unknown>>> {
  const record = await readJsonObject(path).catch((cause: unknown) => {
    if (CliError.isInstance(cause)) throw cause;
    throw new CliError("unreadable-file", `${path} cannot be read (${shortMessage(cause)})`, { cause });
  });
  if (record !== undefined) return record;
  throw new CliError("unreadable-file", `${path}: no such file; name the kvfold.json of an earlier fold`);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0;

function readText(path: string, calibration: unknown): Recipe["calibration"] {
  const { windows, window, sha256, bosToken } = calibration as Partial<CalibrationSummary>;
  if (isCount(windows) && isCount(window) && typeof sha256 === "string")
    return { windows, window, sha256, bosToken: bosToken ?? null };
  throw new CliError(
    "malformed-file",
    `${path}: calibration does not say how many windows of which text (windows, window, sha256); an older version wrote it, or a program: fold again with the same options`,
  );
}

/** The calibration of a recipe from the files that were named. */
export const recipeCalibration = (
  { calibration }: Recipe,
  given: CalibrationOptions | undefined,
): CalibrationOptions | undefined => {
  if (given === undefined || calibration === undefined) return given;
  const { windows, window, sha256, bosToken } = calibration;
  return { ...given, windows, window, bos: bosToken === null ? "documents" : "windows", sha256 };
};
