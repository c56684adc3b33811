import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  benchModels,
  evaluateModels,
  foldCheckpoint,
  generateText,
  inspectModel,
  type JobContext,
  tokenFile,
} from "kvfold/jobs";
import { type DemoRow, renderDemoTable } from "./demo-table.js";

const asset = (path: string): string => fileURLToPath(new URL(`../../../assets/${path}`, import.meta.url));

const MODEL = asset("models/prose-6m");
/** The model has read this book, as models have read text like that of their users. */
const CALIBRATION = asset("text/the-thirty-nine-steps.txt");
/** And this one it has not. */
const VALIDATION = asset("text/sunshine-sketches.txt");
const PROMPT = "It was a cold evening in November, and the fire had burned low when";
/** Enough to see what folding does in two minutes; four times as many make it a little better. */
const CALIBRATION_WINDOWS = 16;
const SHARES = ["1", "1/2", "1/4"];

export declare namespace runDemo {
  interface Options {
    /** An empty folder to work in. */
    readonly folder: string;
    readonly context: JobContext;
    readonly write: (text: string) => void;
  }
}

/** Folds the embedded model to a half and a quarter, and shows what that does to size, quality, speed and text. */
export async function runDemo({ folder, context, write }: runDemo.Options): Promise<void> {
  const { family, layers, kvHeads, headDim } = await inspectModel({ model: MODEL }, context);
  write(`kvfold demo: prose-6m, a ${family} of ${layers} layers with ${kvHeads} KV heads of ${headDim}\n\n`);
  const models = await foldAll(folder, context, write);
  write(`\n${renderDemoTable(await measureAll(models, context, write))}\n`);
  await continueAll(models, context, write);
}

/** Writes the model as it is, and folded, and returns the folders. */
async function foldAll(
  folder: string,
  context: JobContext,
  write: (text: string) => void,
): Promise<readonly string[]> {
  const calibration = { files: [tokenFile(CALIBRATION)], windows: CALIBRATION_WINDOWS };
  const measured = join(folder, "moments.safetensors");
  // What is measured of the original model serves every fold of it.
  const moments = [{}, { saveMoments: measured }, { moments: measured }];
  const outputs: string[] = [];
  for (const [index, keep] of SHARES.entries()) {
    const output = join(folder, `keep-${keep.replace("/", "-")}`);
    write(`keep ${keep.padEnd(3)} `);
    const options = { model: MODEL, output, keep, calibration, ...moments[index] };
    const { plan, seconds } = await foldCheckpoint(options, context);
    write(`method ${plan.method}, ${seconds.toFixed(1)} s\n`);
    outputs.push(output);
  }
  return outputs;
}

async function measureAll(
  models: readonly string[],
  context: JobContext,
  write: (text: string) => void,
): Promise<readonly DemoRow[]> {
  write("measuring perplexity on 16 windows of a book it has not read, and speed at 1024 tokens\n");
  const files = [tokenFile(VALIDATION)];
  const evaluation = await evaluateModels({ models, files, windows: 16, divergence: "skip" }, context);
  const bench = await benchModels({ models, contexts: [1024], repeats: 5 }, context);
  return evaluation.models.map((figures, index) => ({
    keep: SHARES[index]!,
    ...figures,
    decode: bench.measurements[index]!.decode,
  }));
}

async function continueAll(
  models: readonly string[],
  context: JobContext,
  write: (text: string) => void,
): Promise<void> {
  write(`\n"${PROMPT}" goes on, as each model sees it:\n`);
  for (const [index, model] of models.entries()) {
    write(`\nkeep ${SHARES[index]}:`);
    const sampling = { temperature: 0.7, topP: 0.9, seed: 7, maxNewTokens: 48 };
    const onText = (text: string) => write(text.replaceAll(/\s+/g, " "));
    await generateText({ model, prompt: PROMPT, ...sampling }, { ...context, onText });
    write("\n");
  }
}
