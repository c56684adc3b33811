import { RuntimeError } from "@kvfold/runtime";
import type { WebModel } from "@kvfold/runtime-web";

type Keeper = Pick<WebModel, "cacheKind" | "loadCache" | "saveCache">;

/** A cache in the memory of a GPU cannot be kept. */
const canKeep = ({ cacheKind }: Keeper): boolean => cacheKind === "delta";

/** The tokens of the conversation that an earlier page has kept, which the model goes on in without reading them; none without. */
export async function restoreConversation(model: Keeper, name: string): Promise<readonly number[]> {
  if (!canKeep(model)) return [];
  try {
    return await model.loadCache(name);
  } catch (error) {
    // There is none, or it is that of another fold under the same name.
    if (RuntimeError.isInstance(error) && error.code === "cache-unreadable") return [];
    throw error;
  }
}

/** Keeps the conversation for later pages, where that is possible. */
export async function keepConversation(model: Keeper, name: string): Promise<void> {
  if (canKeep(model)) await model.saveCache(name);
}
