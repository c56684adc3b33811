import { createCausalLM, generate, type ModelSource, perplexity } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { openFirstLayers } from "../../converter/test/support/assets.js";
import { foldInMemory, modelSource } from "../../converter/test/support/fold-in-memory.js";

/** Two of the six layers of the trained model that ships with the repository: whole and folded. */
export interface ProseModels {
  readonly whole: ModelSource;
  readonly folded: ModelSource;
  /** What is served: `/whole/model.onnx`, `/whole/model.onnx_data` and so on. */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** Exports and folds them, by weights alone. */
export async function makeProseModels(): Promise<ProseModels> {
  const checkpoint = await openFirstLayers("prose-6m", 2);
  const whole = await foldInMemory(checkpoint, { keep: "1" });
  const folded = await foldInMemory(checkpoint, { keep: "1/4", method: "svd-w" });
  const files = Object.entries({ whole, folded }).flatMap(([folder, { files }]) =>
    [...files].map(([name, bytes]): [string, Uint8Array] => [`/${folder}/${name}`, bytes]),
  );
  return { whole: modelSource(whole), folded: modelSource(folded), files: Object.fromEntries(files) };
}

/** What Node generates greedily, and its mean negative log likelihood over a window. */
export async function runInNode(
  source: ModelSource,
  { prompt, count, window }: { prompt: readonly number[]; count: number; window: readonly number[] },
): Promise<{ readonly tokens: readonly number[]; readonly nll: number }> {
  const session = await nodeProvider().createSession(source, { threads: 1 });
  const model = createCausalLM(session);
  const tokens: number[] = [];
  for await (const token of generate(model, prompt, { maxNewTokens: count })) tokens.push(token);
  const { nll } = await perplexity(model, [window]);
  await session.dispose();
  return { tokens, nll };
}
