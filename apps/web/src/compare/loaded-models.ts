import type { WebModel } from "@kvfold/runtime-web";
import type { PreparedModel } from "../fold/fold-state.js";
import { loadModel } from "./load-model.js";

/** Models that are loaded, by the files they were loaded from; two at most: the original and one folded. */
const loaded = new Map<PreparedModel, Promise<WebModel>>();
const LIMIT = 2;

/** The model, loaded now or before. What was loaded longest ago makes room. */
export async function loadedModel(prepared: PreparedModel): Promise<WebModel> {
  const known = loaded.get(prepared);
  if (known !== undefined) {
    loaded.delete(prepared);
    loaded.set(prepared, known);
    return known;
  }
  while (loaded.size >= LIMIT) await unloadOldest();
  const loading = loadModel(prepared.result.files, prepared.result.plan.maxPositions);
  loaded.set(prepared, loading);
  loading.catch(() => loaded.delete(prepared));
  return loading;
}

async function unloadOldest(): Promise<void> {
  const [oldest, loading] = [...loaded][0]!;
  loaded.delete(oldest);
  await loading.then(
    (model) => model.dispose(),
    () => {},
  );
}
