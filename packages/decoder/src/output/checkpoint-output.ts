import { blockTensors, embeddingTensors, headTensors } from "../checkpoint/store-weights.js";
import type { StoredTensor } from "../checkpoint/stored-tensor.js";
import type { ModelConfig } from "../families/read-config.js";
import type { BlockSpec } from "../model/block-spec.js";
import type { BlockWeights } from "../model/decoder-weights.js";
import type { ModelOutput } from "./model-output.js";

/** Takes tensors one at a time and makes a safetensors file of them. */
export interface TensorSink {
  /** Whether tensors may come with their numbers in `matrix`; else all come in `data`. */
  readonly takesStored?: boolean;
  add(tensor: StoredTensor): Promise<void>;
  finish(): Promise<void>;
  /** Closes what is open, in place of `finish`. */
  abandon(): Promise<void>;
}

/** A checkpoint output and, once finished, the fields of its config. */
export interface CheckpointOutput extends ModelOutput {
  /** The input's config with the number of KV heads, and the family's bias switches where healing made biases. */
  config(): Record<string, unknown>;
}

/** Writes a model that keeps whole heads as a Hugging Face checkpoint that plain GQA code loads. */
export function checkpointOutput(config: ModelConfig, sink: TensorSink): CheckpointOutput {
  const { kvHeads: kvHeadsField, biases: switches } = config.standard;
  let layer = 0;
  let kvHeads = config.shape.kvHeads;
  const biases = { attention: false, mlp: false };
  const addAll = async (tensors: readonly StoredTensor[]) => {
    for (const tensor of tensors) await sink.add(tensor);
  };
  const note = ({ attention, mlp }: BlockWeights) => {
    biases.attention ||= [attention.query, attention.key, attention.value, attention.output].some(
      ({ bias }) => bias,
    );
    biases.mlp ||= [mlp.gate, mlp.up, mlp.down].some((linear) => linear?.bias);
  };
  return {
    takesStored: sink.takesStored === true && config.blocks.every(isSplit),
    begin: (embedding) => addAll(embeddingTensors(config, embedding)),
    addBlock(block) {
      note(block);
      kvHeads = block.attention.keys.heads;
      return addAll(blockTensors(config, layer++, block));
    },
    async finish(head) {
      await addAll(headTensors(config, head));
      await sink.finish();
    },
    abandon: () => sink.abandon(),
    config: () => ({
      ...config.fields,
      // All layers have as many: whoever plans a fold for this format sees to that.
      ...(kvHeadsField === undefined ? {} : { [kvHeadsField]: kvHeads }),
      ...(switches && { [switches.attention]: biases.attention, [switches.mlp]: biases.mlp }),
    }),
  };
}

/** Whether every projection is a tensor of its own: parts of one cannot be joined while they are stored. */
const isSplit = ({ attention, mlp }: BlockSpec): boolean =>
  attention.projections.layout === "split" && mlp.input.layout !== "fused-gated";
