import { createCausalLM, type ModelSource, type Session } from "@kvfold/runtime";
import { unfoldedAttentionKind } from "../../src/graph/stored-cache.js";
import { type Checkpoint, type Dtype, dtypes, onnxOutput } from "../../src/index.js";
import { streamModel } from "../../src/output/stream-model.js";
import { memorySink } from "./memory-sink.js";
import { oneThreadProvider } from "./one-thread-provider.js";

export declare namespace exportModel {
  interface Options {
    readonly dtype?: Dtype;
    readonly maxPositions?: number;
  }
}

/** A checkpoint as an ONNX model in memory, unfolded. */
export async function exportModel(
  checkpoint: Checkpoint,
  { dtype = "fp32", maxPositions = checkpoint.config.shape.maxPositions }: exportModel.Options = {},
): Promise<ModelSource> {
  const { config } = checkpoint;
  const files = new Map<string, Uint8Array>();
  const attention = unfoldedAttentionKind(config.blocks);
  await streamModel(checkpoint, [
    onnxOutput({ config, attention, dtype, maxPositions, open: memorySink(files) }),
  ]);
  const { fileName } = dtypes[dtype];
  const externalData = [...files]
    .filter(([name]) => name.startsWith(`${fileName}_data`))
    .map(([path, data]) => ({ path, data }));
  return { bytes: files.get(fileName)!, externalData };
}

/** Runs `use` with a session over a model. */
export async function withModel<T>(source: ModelSource, use: (session: Session) => Promise<T>): Promise<T> {
  const session = await oneThreadProvider().createSession(source);
  try {
    return await use(session);
  } finally {
    await session.dispose();
  }
}

/** Logits `[T, V]` of one sequence. */
export const modelLogits = (source: ModelSource, tokens: ArrayLike<number>): Promise<Float32Array> =>
  withModel(source, async (session) => (await createCausalLM(session).forward(tokens)).data);
