/** What a user's types see of the packages: compiled, never run. */
import { type FoldPlan, planFold } from "@kvfold/converter";
import { fold } from "@kvfold/converter/node";
import { type Checkpoint, openWeights, readConfig } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { type CausalLM, createCausalLM, generate } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";

/** An error of the compiler where `Found` is not `Expected`, `any` among it. */
type Exactly<Found, Expected> = [Found, Expected] extends [Expected, Found]
  ? 0 extends 1 & Found
    ? never
    : true
  : never;

export const plan = (text: string): FoldPlan => planFold(readConfig(text), { keep: "1/2" });
export const bytes: Exactly<FoldPlan["cacheBytesPerToken"]["after"], number> = true;
export const opened: Exactly<Awaited<ReturnType<typeof openWeights>>, Checkpoint> = true;

export async function use(model: string): Promise<readonly number[]> {
  const checkpoint = await openWeights(await directorySource(model), { graph: "model.onnx" });
  await checkpoint.close();
  await fold({ from: model, to: `${model}-half`, keep: 0.5, text: "book.txt" });
  // @ts-expect-error the folder to write is missing
  await fold({ from: model, keep: 0.5 });
  const lm: CausalLM = createCausalLM(await nodeProvider().createSession({ path: model }));
  const tokens: number[] = [];
  for await (const token of generate(lm, [1, 2, 3], { maxNewTokens: 4 })) tokens.push(token);
  return tokens;
}
