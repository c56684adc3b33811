import type { StageMoments } from "@kvfold/calibration";
import { type Checkpoint, onnxOutput } from "@kvfold/decoder";
import { plainProducts } from "@kvfold/linalg";
import { createCausalLM, type ModelSource, type Session } from "@kvfold/runtime";
import { memorySink } from "../../../decoder/test/support/memory-sink.js";
import { oneThreadProvider } from "../../../decoder/test/support/one-thread-provider.js";
import {
  allocateBudget,
  type BlockMath,
  type Budget,
  createBlockMath,
  type FoldPlan,
  findMethod,
  foldModel,
  type Method,
  planFold,
} from "../../src/index.js";
import { cachePrecisionsOf } from "../../src/plan/cache-bits.js";
import { onnxDtypes } from "../../src/plan/stored-dtype.js";

/** A fold that lives in memory: files by name, what was measured, and the plan. */
export interface Folded {
  readonly checkpoint: Checkpoint;
  readonly plan: FoldPlan;
  readonly method: Method;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** By layer; empty where the method looks at weights alone. */
  readonly moments: readonly StageMoments[];
}

export declare namespace foldInMemory {
  interface Options extends planFold.Options {
    readonly budget?: string | Budget | undefined;
    readonly windows?: readonly Int32Array[];
    readonly moments?: readonly StageMoments[];
    readonly math?: BlockMath;
  }
}

/** Folds a checkpoint into ONNX files in memory. */
export async function foldInMemory(
  checkpoint: Checkpoint,
  { windows, moments, math, ...options }: foldInMemory.Options,
): Promise<Folded> {
  const provider = oneThreadProvider();
  const planned = planFold(checkpoint.config, options);
  const methods = ownOf(options.method);
  const budgets = ownOf(options.budget);
  const plan = await allocateBudget({
    checkpoint,
    plan: planned,
    provider,
    windows,
    moments,
    methods,
    budgets,
  });
  const files = new Map<string, Uint8Array>();
  const measured: StageMoments[] = [];
  const outputs = onnxDtypes(plan.dtypes).map((dtype) =>
    onnxOutput({
      config: checkpoint.config,
      ...plan,
      cachePrecisions: cachePrecisionsOf(plan),
      dtype,
      open: memorySink(files),
    }),
  );
  const onMoments = (layer: number, stage: StageMoments) => {
    measured[layer] = stage;
  };
  await foldModel({
    checkpoint,
    plan,
    outputs,
    provider,
    windows,
    moments,
    onMoments,
    math: math ?? createBlockMath(plainProducts, { methods }),
  });
  const method = findMethod(plan.method, methods);
  return { checkpoint, plan, method, files, moments: moments ?? measured };
}

/** What is not named but given as it is. */
const ownOf = <T>(given: string | T | undefined): readonly T[] =>
  given === undefined || typeof given === "string" ? [] : [given];

/** The graph of a fold, as a session takes it. */
export function modelSource({ files }: Pick<Folded, "files">, fileName = "model.onnx"): ModelSource {
  const externalData = [...files]
    .filter(([name]) => name.startsWith(`${fileName}_data`))
    .map(([path, data]) => ({ path, data }));
  return { bytes: files.get(fileName)!, externalData };
}

/** Runs `use` with a session over a fold. */
export async function withSession<T>(
  folded: Pick<Folded, "files">,
  use: (session: Session) => Promise<T>,
  fileName = "model.onnx",
): Promise<T> {
  const session = await oneThreadProvider().createSession(modelSource(folded, fileName));
  try {
    return await use(session);
  } finally {
    await session.dispose();
  }
}

/** Logits `[T, V]` of a fold for one sequence. */
export function foldedLogits(
  folded: Pick<Folded, "files">,
  tokens: ArrayLike<number>,
  fileName = "model.onnx",
): Promise<Float32Array> {
  return withSession(
    folded,
    async (session) => (await createCausalLM(session).forward(tokens)).data,
    fileName,
  );
}
