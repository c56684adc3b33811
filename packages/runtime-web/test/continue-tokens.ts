import { createCausalLM, generate, type ModelSource, type SessionProvider } from "@kvfold/runtime";

export declare namespace continueTokens {
  interface Options {
    readonly source: ModelSource;
    readonly prompt: readonly number[];
    readonly count: number;
  }
}

/** What a model goes on with, greedily. */
export async function continueTokens(
  provider: SessionProvider,
  { source, prompt, count }: continueTokens.Options,
): Promise<readonly number[]> {
  // Two test files run at a time: more threads than cores would wait for each other.
  const session = await provider.createSession(source, { threads: 1 });
  try {
    const tokens: number[] = [];
    for await (const token of generate(createCausalLM(session), prompt, { maxNewTokens: count }))
      tokens.push(token);
    return tokens;
  } finally {
    await session.dispose();
  }
}
