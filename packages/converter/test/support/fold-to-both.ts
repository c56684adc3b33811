import {
  type Checkpoint,
  checkpointOutput,
  onnxOutput,
  openCheckpoint,
  type StoredTensor,
} from "@kvfold/decoder";
import { encodeFloats, serializeSafetensors } from "@kvfold/safetensors";
import { memoryFolder } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { memorySink } from "../../../decoder/test/support/memory-sink.js";
import { oneThreadProvider } from "../../../decoder/test/support/one-thread-provider.js";
import { foldModel, planFold } from "../../src/index.js";
import { foldedLogits } from "./fold-in-memory.js";

export declare namespace foldToBoth {
  interface Options extends planFold.Options {
    /** Text to fold by; the logits are of the first window. */
    readonly windows: readonly Int32Array[];
  }
  interface Result {
    /** The Hugging Face checkpoint, opened again. */
    readonly written: Checkpoint;
    /** Logits `[T, V]` of the graph. */
    readonly logits: Float32Array;
  }
}

/** Folds once into both formats, since biases that healing adds depend on the formats. */
export async function foldToBoth(
  checkpoint: Checkpoint,
  { windows, ...options }: foldToBoth.Options,
): Promise<foldToBoth.Result> {
  const { config } = checkpoint;
  const plan = planFold(config, { ...options, formats: ["onnx", "hf"] });
  const tensors: StoredTensor[] = [];
  const sink = {
    add: async (tensor: StoredTensor) => void tensors.push(tensor),
    finish: async () => {},
    abandon: async () => {},
  };
  const hf = checkpointOutput(config, sink);
  const files = new Map<string, Uint8Array>();
  const onnx = onnxOutput({ config, ...plan, dtype: "fp32", open: memorySink(files) });
  await foldModel({ checkpoint, plan, outputs: [hf, onnx], provider: oneThreadProvider(), windows });
  const written = await openWritten(hf.config(), tensors);
  return { written, logits: await foldedLogits({ files }, windows[0]!) };
}

function openWritten(config: object, tensors: readonly StoredTensor[]): Promise<Checkpoint> {
  const weights = serializeSafetensors(
    tensors.map(({ data, ...layout }) => ({
      ...layout,
      dtype: "F32" as const,
      data: encodeFloats(data, "F32"),
    })),
  );
  return openCheckpoint(
    memoryFolder(
      new Map<string, string | Uint8Array>([
        ["config.json", JSON.stringify(config)],
        ["model.safetensors", weights],
      ]),
    ),
  );
}
