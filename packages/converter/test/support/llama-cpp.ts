/** llama.cpp, which we did not write, as the reader of our GGUF files: node-llama-cpp on the CPU with one thread. */

import {
  getLlama,
  type Llama,
  type LlamaContextSequence,
  LlamaLogLevel,
  type LlamaModel,
  type Token,
} from "node-llama-cpp";

/** Opens the prebuilt library; nothing is built or downloaded. Dispose it afterwards. */
export const openLlama = (): Promise<Llama> =>
  getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    // It warns of vocabularies without a newline or an end.
    logLevel: LlamaLogLevel.error,
    maxThreads: 1,
  });

/** Runs `use` with a model that is gone afterwards. */
export async function withLlamaModel<T>(
  llama: Llama,
  modelPath: string,
  use: (model: LlamaModel) => Promise<T>,
): Promise<T> {
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}

/** Runs `use` with an empty sequence, keys and values in float32 as ours. */
async function withSequence<T>(
  model: LlamaModel,
  use: (sequence: LlamaContextSequence) => Promise<T>,
): Promise<T> {
  const context = await model.createContext({
    contextSize: 256,
    flashAttention: false,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
  });
  try {
    return await use(context.getSequence());
  } finally {
    await context.dispose();
  }
}

/** The most probable tokens after a prompt, one after another. */
export const continueGreedily = (
  model: LlamaModel,
  prompt: readonly number[],
  count: number,
): Promise<readonly number[]> =>
  withSequence(model, async (sequence) => {
    const tokens: number[] = [];
    for await (const token of sequence.evaluate([...prompt] as Token[], {
      temperature: 0,
      yieldEogToken: true,
    })) {
      tokens.push(token);
      if (tokens.length === count) break;
    }
    return tokens;
  });

/** Probabilities `[V]` of the token after `tokens`. */
export const nextProbabilities = (
  model: LlamaModel,
  tokens: readonly number[],
  vocabSize: number,
): Promise<Float64Array> =>
  withSequence(model, async (sequence) => {
    const [last, ...others] = tokens.toReversed() as Token[];
    const outputs = await sequence.controlledEvaluate([
      ...others.reverse(),
      [last!, { generateNext: { probabilities: true } }],
    ]);
    const result = new Float64Array(vocabSize);
    for (const [token, probability] of outputs.at(-1)!.next.probabilities!) result[token] = probability;
    return result;
  });
