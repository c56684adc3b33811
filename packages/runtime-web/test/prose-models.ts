import { createCausalLM, generate, type ModelSource, perplexity } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { openModel } from "../../converter/test/support/assets.js";
import { foldInMemory, modelSource } from "../../converter/test/support/fold-in-memory.js";

/** The trained model that ships with the repository, exported whole and folded. */
export interface ProseModels {
  readonly whole: ModelSource;
  readonly folded: ModelSource;
  /** What is served: `/whole/model.onnx`, `/whole/model.onnx_data` and so on. */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** Exports and folds it, by weights alone: 3 seconds. */
export async function makeProseModels(): Promise<ProseModels> {
  const checkpoint = await openModel("prose-6m");
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
