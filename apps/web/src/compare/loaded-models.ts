import type { ExecutionProvider, WebModel } from "@kvfold/runtime-web";
import { signal } from "@preact/signals";
import type { PreparedModel } from "../fold/fold-state.js";
import type { CachePolicy } from "./cache-policies.js";
import { loadModel } from "./load-model.js";

/** What is to run models; takes effect with the next use of one. */
export const wantedProvider = signal<ExecutionProvider | "auto">("auto");
/** Models are at work: others beside them would share the machine's speed. */
export const modelsBusy = signal(false);

export async function occupyModels<T>(work: () => Promise<T>): Promise<T> {
  modelsBusy.value = true;
  try {
    return await work();
  } finally {
    modelsBusy.value = false;
  }
}

interface Loaded {
  readonly provider: ExecutionProvider | "auto";
  readonly policy: CachePolicy | undefined;
  readonly model: Promise<WebModel>;
}

/** Models that are loaded, by the files they were loaded from; two at most: the original and one folded. */
const loaded = new Map<PreparedModel, Loaded>();
const LIMIT = 2;

/** The model on the wanted provider, under a policy if one is given, loaded now or before. What was loaded longest ago makes room. */
export async function loadedModel(prepared: PreparedModel, policy?: CachePolicy): Promise<WebModel> {
  const provider = wantedProvider.value;
  const known = loaded.get(prepared);
  if (known?.provider === provider && known.policy === policy) {
    loaded.delete(prepared);
    loaded.set(prepared, known);
    return known.model;
  }
  if (known !== undefined) await unload(prepared);
  while (loaded.size >= LIMIT) await unload([...loaded.keys()][0]!);
  return load(prepared, provider, policy);
}

function load(
  prepared: PreparedModel,
  provider: ExecutionProvider | "auto",
  policy: CachePolicy | undefined,
): Promise<WebModel> {
  const { files, plan } = prepared.result;
  const forget = () => {
    // Another may have taken its place since.
    if (loaded.get(prepared)?.model === model) loaded.delete(prepared);
  };
  const model = loadModel(files, policy, {
    executionProvider: provider,
    maxPositions: plan.maxPositions,
    // Its GPU is lost: the next use loads it again.
    onLost: forget,
  });
  loaded.set(prepared, { provider, policy, model });
  model.catch(forget);
  return model;
}

async function unload(prepared: PreparedModel): Promise<void> {
  const found = loaded.get(prepared);
  loaded.delete(prepared);
  await found?.model.then(
    (model) => model.dispose(),
    () => {},
  );
}
