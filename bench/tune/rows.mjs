/** Which rows `tune.mjs` measures, and what each model is tuned and measured with. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { assetPath, fail, option, textFile, textOption } from "../paths.mjs";

const ours = (name) => assetPath(`text/${name}`);

/** By model: tokens of a window, the texts (`respelled` ones by `plain-punctuation.mjs`), and the steps of the tables. */
const MODELS = {
  "prose-6m": {
    length: 1024,
    calibration: () => ours("calibration.u16"),
    calibrationWindows: 128,
    tuning: () => ours("calibration.u16"),
    texts: () => [{ name: "prose", path: ours("validation.u16") }],
    evaluationWindows: 64,
    steps: 60,
    windowsPerStep: 6,
  },
  "prose-27m": {
    length: 1024,
    calibration: () => ours("calibration.u16"),
    calibrationWindows: 128,
    tuning: () => textFile("tune-prose.u16"),
    respelled: true,
    texts: () => [{ name: "prose", path: ours("validation.u16") }],
    evaluationWindows: 64,
    steps: 400,
    windowsPerStep: 12,
  },
  "mix-30m": {
    length: 4096,
    calibration: () => textFile("mix/calibration-4k.u16"),
    calibrationWindows: 48,
    tuning: () => textFile("mix/tune-4k.u16"),
    texts: () => ["prose", "code"].map((name) => ({ name, path: textFile(`mix/validation-${name}.u16`) })),
    retrieval: () => textFile("mix/retrieval-validation.jsonl"),
    evaluationWindows: 10,
    steps: 300,
    windowsPerStep: 6,
  },
};

export function settingsOf(model) {
  const known =
    MODELS[model] ?? fail(`--rows: expected one of ${Object.keys(MODELS).join(", ")}, found ${model}`);
  const text = textOption("text");
  return {
    ...known,
    length: option("length", known.length),
    calibrationWindows: option("calibration", known.calibrationWindows),
    evaluationWindows: option("evaluate", known.evaluationWindows),
    steps: option("steps", known.steps),
    windowsPerStep: option("windows", known.windowsPerStep),
    rank: option("rank", 64),
    learningRate: option("rate", 5e-4),
    tuning: text === undefined ? known.tuning : () => text,
    respelled: text === undefined && known.respelled === true,
  };
}

/** `mix-30m:anchored:1/4`, `…:loss` or `…:healed`; `mix-30m:control` is the unfolded model, tuned on the text alone. */
function readRow(row) {
  const [model, method, keep = "1", ...further] = row.split(":");
  const metric = further.includes("loss") ? "loss" : "output";
  if (method === "control") return { row, model, method: "none", keep: "1", metric: "output", loss: "text" };
  if (method === undefined) fail(`--rows: expected MODEL:METHOD:SHARE or MODEL:control, found ${row}`);
  const heal = further.includes("healed") ? { heal: "both" } : {};
  return { row, model, method, keep, metric, ...heal, loss: "distillation" };
}

const USUAL =
  "prose-6m:paper:1/2,prose-6m:paper:1/4,prose-6m:anchored:1/4,prose-6m:anchored:1/8,prose-6m:control";

export const wantedRows = () => textOption("rows", USUAL).split(",").map(readRow);

/** Where the fold of a row is kept: `FOLDER/mix-30m-anchored-1-4`, `…-loss` with that metric, `…-healed` where it is asked for. */
export function foldFolder({ model, method, keep, metric, heal }, folder) {
  const further = [...(metric === "output" ? [] : [metric]), ...(heal === undefined ? [] : ["healed"])];
  const name = [model, method, keep.replace("/", "-"), ...further].join("-");
  return join(textOption("folds", folder), name);
}

/** Whether a folder holds a whole fold. */
export const isFold = (folder) => existsSync(join(folder, "kvfold.json"));
