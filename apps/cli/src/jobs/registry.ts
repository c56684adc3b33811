import { addGraphsToFolder } from "./add-graphs.js";
import { benchModels } from "./bench.js";
import { evaluateModels } from "./evaluate.js";
import { evaluatePolicies } from "./evaluate-policies.js";
import { fitModel } from "./fit.js";
import { foldCheckpoint } from "./fold.js";
import { generateText } from "./generate.js";
import { generateTexts } from "./generate-batch.js";
import { inspectModel } from "./inspect.js";
import { measureMoments } from "./measure.js";
import { mergeMomentFiles } from "./merge-moments.js";
import { planCheckpoint } from "./plan.js";
import { probeCopying } from "./probe-copying.js";
import { probeRetrieval } from "./probe-retrieval.js";
import { pushModel } from "./push.js";
import { serveModel } from "./serve.js";
import { tuneFolded } from "./tune.js";

/** The jobs by the names under which a worker is asked for them. */
interface Jobs {
  readonly inspect: typeof inspectModel;
  readonly fit: typeof fitModel;
  readonly plan: typeof planCheckpoint;
  readonly fold: typeof foldCheckpoint;
  readonly measure: typeof measureMoments;
  readonly merge: typeof mergeMomentFiles;
  readonly evaluate: typeof evaluateModels;
  readonly evaluatePolicies: typeof evaluatePolicies;
  readonly probeCopying: typeof probeCopying;
  readonly probeRetrieval: typeof probeRetrieval;
  readonly generate: typeof generateText;
  readonly generateBatch: typeof generateTexts;
  readonly bench: typeof benchModels;
  readonly push: typeof pushModel;
  readonly serve: typeof serveModel;
  readonly tune: typeof tuneFolded;
  readonly addGraphs: typeof addGraphsToFolder;
}

export const jobs: Jobs = {
  inspect: inspectModel,
  fit: fitModel,
  plan: planCheckpoint,
  fold: foldCheckpoint,
  measure: measureMoments,
  merge: mergeMomentFiles,
  evaluate: evaluateModels,
  evaluatePolicies,
  probeCopying,
  probeRetrieval,
  generate: generateText,
  generateBatch: generateTexts,
  bench: benchModels,
  push: pushModel,
  serve: serveModel,
  tune: tuneFolded,
  addGraphs: addGraphsToFolder,
};

export type JobName = keyof Jobs;
export type JobOptions<N extends JobName> = Parameters<Jobs[N]>[0];
export type JobResult<N extends JobName> = Awaited<ReturnType<Jobs[N]>>;
