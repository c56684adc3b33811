import { type CachePrecision, createCausalLM, type ModelSource, type Session } from "@kvfold/runtime";
import type { AttentionKind } from "../../src/graph/positions.js";
import { unfoldedAttentionKind } from "../../src/graph/stored-cache.js";
import { type Checkpoint, type Dtype, dtypes, onnxOutput, quantisedFileName } from "../../src/index.js";
import type { AttentionWeights } from "../../src/model/decoder-weights.js";
import type { ModelOutput } from "../../src/output/model-output.js";
import { streamModel } from "../../src/output/stream-model.js";
import { memorySink } from "./memory-sink.js";
import { oneThreadProvider } from "./one-thread-provider.js";

export declare namespace exportModel {
  interface Options {
    readonly dtype?: Dtype;
    readonly maxPositions?: number;
    /** The graph that other runtimes load, or the one for a runtime that owns the cache. */
    readonly form?: "standard" | "delta" | "policy" | CachePrecision;
    /** What stands in the place of a layer's attention; the graph attends plainly then. */
    readonly fold?: (attention: AttentionWeights) => AttentionWeights;
  }
}

/** A checkpoint as an ONNX model in memory, unfolded unless `fold` says otherwise. */
export async function exportModel(
  checkpoint: Checkpoint,
  {
    dtype = "fp32",
    form = "standard",
    maxPositions = checkpoint.config.shape.maxPositions,
    fold,
  }: exportModel.Options = {},
): Promise<ModelSource> {
  const { config } = checkpoint;
  const files = new Map<string, Uint8Array>();
  const attention: AttentionKind = fold === undefined ? unfoldedAttentionKind(config.blocks) : "plain";
  const cachePrecisions = form === "int8" || form === "int4" ? [form] : [];
  const open = memorySink(files);
  const output = onnxOutput({ config, attention, dtype, maxPositions, open, cachePrecisions });
  const addBlock: ModelOutput["addBlock"] = (block) =>
    output.addBlock(fold === undefined ? block : { ...block, attention: fold(block.attention) });
  await streamModel(checkpoint, [{ ...output, takesStored: fold === undefined, addBlock }]);
  const { fileName } = dtypes[dtype];
  const externalData = [...files]
    .filter(([name]) => name.startsWith(`${fileName}_data`))
    .map(([path, data]) => ({ path, data }));
  return { bytes: files.get(graphName(dtype, form))!, externalData };
}

function graphName(dtype: Dtype, form: NonNullable<exportModel.Options["form"]>): string {
  const { fileName, deltaFileName, policyFileName } = dtypes[dtype];
  const floats = { standard: fileName, delta: deltaFileName, policy: policyFileName };
  return form === "int8" || form === "int4" ? quantisedFileName(policyFileName, form) : floats[form];
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
