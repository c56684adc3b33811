import {
  type Checkpoint,
  loadBlock,
  loadEmbedding,
  loadHead,
  onnxOutput,
  streamModel,
  unfoldedAttentionKind,
} from "@kvfold/decoder";
import { createCausalLM, generate } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { fault, type Verdict } from "./judge-error.js";

/** Reads every tensor that the model uses, as a fold does. */
export async function loadWeights(checkpoint: Checkpoint): Promise<void> {
  await loadEmbedding(checkpoint);
  for (let layer = 0; layer < checkpoint.config.shape.layers; layer++) await loadBlock(checkpoint, layer);
  await loadHead(checkpoint);
}

const NEW_TOKENS = 3;

/** Exports the model unfolded and generates some tokens in ONNX Runtime. */
export async function runModel(checkpoint: Checkpoint): Promise<Verdict> {
  const { config } = checkpoint;
  const { vocabSize } = config.shape;
  const maxPositions = affordable(config.shape.maxPositions);
  const session = await nodeProvider().createSession(await exportToMemory(checkpoint, maxPositions), {
    threads: 1,
  });
  try {
    const model = createCausalLM(session, { maxPositions });
    const tokens: number[] = [];
    for await (const token of generate(model, [1 % vocabSize], { maxNewTokens: NEW_TOKENS }))
      tokens.push(token);
    const wanted = Math.min(NEW_TOKENS, maxPositions);
    if (tokens.length < wanted) return fault("too few tokens", `${tokens.length} of ${wanted}`);
    return { outcome: "ran", detail: config.family.modelType };
  } finally {
    await session.dispose();
  }
}

/** Tables of some million positions are right, but slow to make: beyond that the product has to refuse them. */
const affordable = (maxPositions: number) =>
  maxPositions < 2 ** 24 ? Math.min(maxPositions, 2 ** 16) : maxPositions;

async function exportToMemory(checkpoint: Checkpoint, maxPositions: number) {
  const { config } = checkpoint;
  const files = new Map<string, Uint8Array>();
  const open = async (name: string) => {
    const parts: Uint8Array[] = [];
    return {
      write: async (bytes: Uint8Array) => void parts.push(bytes.slice()),
      close: async () => void files.set(name, new Uint8Array(Buffer.concat(parts))),
    };
  };
  const attention = unfoldedAttentionKind(config.blocks);
  const output = onnxOutput({ config, attention, dtype: "fp32", maxPositions, open });
  await streamModel(checkpoint, [output]);
  const externalData = output.dataFiles.map((path) => ({ path, data: files.get(path)! }));
  return { bytes: files.get(output.fileName)!, externalData };
}
