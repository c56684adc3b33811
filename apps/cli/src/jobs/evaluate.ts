import { tokenWindows } from "@kvfold/calibration";
import type { Dtype } from "@kvfold/decoder";
import { cacheBytesPerToken, perplexity } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { type FoundModel, findModels } from "../models/find-model.js";
import { readFolderConfig } from "../models/folder-config.js";
import { locateModel } from "../models/locate-model.js";
import { withModels } from "../models/open-model.js";
import { checkWindow } from "../tokens/check-window.js";
import { readTokens, type TokenFile } from "../tokens/read-tokens.js";
import { folderVocabulary } from "../tokens/vocabulary.js";
import type { JobContext } from "./job.js";

/** Tokens predicted per window, unless told otherwise or a model's context is shorter. */
const DEFAULT_WINDOW = 1024;

export declare namespace evaluateModels {
  interface Options {
    /** The first is what the others are compared to. */
    readonly models: readonly string[];
    readonly hub?: HubSettings | undefined;
    readonly files: readonly TokenFile[];
    /** Windows to measure; all that the text gives without it. */
    readonly windows?: number | undefined;
    /** Tokens predicted per window. */
    readonly window?: number | undefined;
    readonly dtype?: Dtype | undefined;
  }
  interface Evaluation {
    readonly path: string;
    /** Mean negative log likelihood of a token, in nats. */
    readonly nll: number;
    readonly perplexity: number;
    /** Perplexity over that of the first model. */
    readonly ratio: number;
    /** Tokens predicted. */
    readonly tokens: number;
    readonly cacheBytesPerToken: number;
  }
  interface Result {
    readonly models: readonly Evaluation[];
  }
}

type Measured = Omit<evaluateModels.Evaluation, "ratio">;

/**
 * Measures how well models predict text, all on the same windows. Windows hold one token more than are predicted,
 * and each starts from nothing.
 *
 * @throws {CliError} `unsupported-model` when the models' tokenizers differ, since perplexities then mean nothing to
 * each other.
 */
export async function evaluateModels(
  options: evaluateModels.Options,
  context: JobContext,
): Promise<evaluateModels.Result> {
  const { dtype } = options;
  const models = await findModels(options.models, options.hub, context);
  const windows = await readWindows(models, options, context);
  const measured: Measured[] = [];
  for (const [index, found] of models.entries()) {
    const label = `${found.name} (${index + 1}/${models.length})`;
    measured.push(
      await withModels([found], { dtype }, context, ([model]) => measure(model!, windows, label, context)),
    );
  }
  const first = measured[0]!;
  return {
    models: measured.map(({ path, nll, perplexity, ...rest }) => ({
      path,
      nll,
      perplexity,
      ratio: perplexity / first.perplexity,
      ...rest,
    })),
  };
}

async function measure(
  { path, lm }: Parameters<Parameters<typeof withModels>[3]>[0][number],
  windows: readonly Int32Array[],
  label: string,
  { onProgress, signal }: JobContext,
): Promise<Measured> {
  const onWindow = (index: number) => onProgress({ label, done: index + 1, total: windows.length });
  const figures = await perplexity(lm, windows, { onWindow, signal });
  return { path, ...figures, cacheBytesPerToken: cacheBytesPerToken(lm.cacheLayout) };
}

async function readWindows(
  models: readonly FoundModel[],
  { files, windows, window, dtype }: evaluateModels.Options,
  { signal }: JobContext,
): Promise<readonly Int32Array[]> {
  const folders = await Promise.all(
    models.map(async ({ path }) => {
      const { folder } = await locateModel(path, dtype);
      return { folder, config: await readFolderConfig(folder) };
    }),
  );
  const contexts = folders.map(({ config }) => config.maxPositions ?? Number.POSITIVE_INFINITY);
  for (const [index, context] of contexts.entries()) checkWindow(window, context, models[index]!.name);
  const length = Math.min(window ?? DEFAULT_WINDOW, ...contexts) + 1;
  const limit = windows === undefined ? Number.POSITIVE_INFINITY : windows * length;
  const [tokens, ...others] = await Promise.all(
    folders.map(({ folder, config }) =>
      readTokens({ files, vocabulary: folderVocabulary(folder, config), limit, signal }),
    ),
  );
  checkSameTokens(tokens!, others, models);
  return tokenWindows(tokens!, {
    length,
    source: files.map(({ path }) => path).join(", "),
    ...(windows === undefined ? {} : { count: windows }),
  });
}

function checkSameTokens(
  tokens: Int32Array,
  others: readonly Int32Array[],
  models: readonly FoundModel[],
): void {
  const different = others.findIndex(
    (other) => other.length !== tokens.length || other.some((token, index) => token !== tokens[index]),
  );
  if (different < 0) return;
  throw new CliError(
    "unsupported-model",
    `${models[different + 1]!.name} makes other tokens of the text than ${models[0]!.name}, so their perplexities cannot be compared; evaluate them one by one`,
  );
}
