/**
 * mix-30m as the benches of policies use it: whole, or folded with `--keep 1/2 [--method anchored] [--windows 16]`, and its texts in
 * the folder that `--texts` names.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseTokenBytes, tokenWindows } from "@kvfold/calibration";
import { readConfig, rotaryFrequencies } from "@kvfold/decoder";
import { createCausalLM } from "@kvfold/runtime";
import { modelFolder, textFile, textOption } from "../paths.mjs";
import { fold, option, provider } from "../support.mjs";

const VOCABULARY = 8192;
/** Beyond the model's context of 4096, for conversations that go on after it. */
const MAX_POSITIONS = 16384;

export const keep = textOption("keep", "1");
export const method = textOption("method");

/** The first windows of a file of token ids. */
export async function readMixWindows(name, length, count) {
  const tokens = parseTokenBytes(await readFile(textFile(name)), VOCABULARY, name);
  return tokenWindows(tokens, { length, count, first: 0, source: name });
}

/** The folder of the model among `models`, where an earlier run may have left it. */
export async function prepareMix(models) {
  const isWhole = keep === "1";
  const name = ["mix-30m", keep.replace("/", "-of-"), ...(isWhole || !method ? [] : [method])].join("-");
  const to = join(models, name);
  if (existsSync(join(to, "onnx", "model_policy.onnx"))) return to;
  const options = {
    keep,
    dtypes: ["fp32"],
    maxPositions: MAX_POSITIONS,
    ...(!isWhole && method && { method }),
  };
  const calibration = isWhole
    ? {}
    : { windows: await readMixWindows("calibration-4k.u16", 4096, option("windows", 16)) };
  await fold(modelFolder("mix-30m"), to, options, calibration);
  return to;
}

/** Opens one of its graphs. The cache of a fold has no keys after RoPE, so that only the whole model tells its frequencies. */
export async function openMix(folder, graph, threads) {
  const session = await provider.createSession({ path: join(folder, "onnx", graph) }, { threads });
  const config = readConfig(await readFile(join(folder, "config.json"), "utf8"));
  const inverseFrequencies = keep === "1" ? rotaryFrequencies(config) : undefined;
  return { session, lm: createCausalLM(session, { maxPositions: MAX_POSITIONS, inverseFrequencies }) };
}
