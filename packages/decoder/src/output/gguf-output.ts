import type { ByteSink } from "@kvfold/onnx";
import { DecoderError } from "../decoder-error.js";
import type { ModelConfig } from "../families/read-config.js";
import { findArchitecture } from "../gguf/architecture.js";
import { type GgufDtype, ggufDtypes } from "../gguf/gguf-dtype.js";
import { type GgufWriter, startGguf } from "../gguf/gguf-writer.js";
import { type Metadata, text } from "../gguf/metadata.js";
import { modelMetadata } from "../gguf/model-metadata.js";
import { plainDecoderObstacle } from "../gguf/plain-decoder.js";
import { frequencyFactors } from "../gguf/rope-metadata.js";
import type { GgufTensor } from "../gguf/tensor-info.js";
import {
  type BlockLayout,
  blockSlots,
  embeddingSlots,
  headSlots,
  type TensorSlot,
} from "../gguf/tensor-slots.js";
import { type TensorType, tensorTypes } from "../gguf/tensor-type.js";
import type { ModelOutput } from "./model-output.js";
import type { OpenSink } from "./onnx-output.js";

/** A GGUF output and the file it writes. */
export interface GgufOutput extends ModelOutput {
  readonly fileName: string;
}

export declare namespace ggufOutput {
  interface Options {
    readonly config: ModelConfig;
    readonly dtype: GgufDtype;
    /** KV heads of every layer of what is written. */
    readonly kvHeads: number;
    /** Whether folding gives projections biases that the input lacks: then each is written with one. */
    readonly newBiases: boolean;
    /** Longest context of the output, in tokens. */
    readonly maxPositions: number;
    /** The vocabulary, of `readGgufTokenizer`. */
    readonly tokenizer: Metadata;
    readonly open: OpenSink;
    /** Texts under keys of one's own. */
    readonly metadata?: Readonly<Record<string, string>>;
  }
}

/**
 * Writes a model that keeps whole heads as one GGUF file, which llama.cpp runs: F32, F16, or Q8_0 for matrices with rows of
 * whole blocks. Weights are streamed a block at a time.
 *
 * @throws {DecoderError} `unsupported-model` when llama.cpp has no such decoder (`ggufObstacle` says it before); from the
 * output's methods `write-failed` when the file cannot be written.
 */
export function ggufOutput(options: ggufOutput.Options): GgufOutput {
  const { config, dtype, open } = options;
  const layout = chooseLayout(options);
  const { fileName, matrices } = ggufDtypes[dtype];
  const slots = modelSlots(config, layout);
  const factors = frequencyFactors(config.blocks[0]!.attention.rope!);
  let sink: ByteSink | undefined;
  let file: GgufWriter;
  let layer = 0;
  const addAll = async <Part>(parts: readonly TensorSlot<Part>[], part: Part) => {
    for (const { name, values } of parts) await file.add(name, values(part));
  };
  const close = async () => {
    const open = sink;
    sink = undefined;
    await open?.close();
  };
  return {
    fileName,
    takesStored: true,
    async begin(embedding) {
      sink = namedSink(await open(fileName), fileName);
      file = await startGguf(sink, fileMetadata(options, layout), describeTensors(slots, factors, matrices));
      if (factors !== undefined) await file.add(FREQUENCIES, factors);
      await addAll(slots.embedding, embedding);
    },
    addBlock: (block) => addAll(slots.blocks[layer++]!, block),
    async finish(head) {
      await addAll(slots.head, head);
      file.finish();
      await close();
    },
    abandon: close,
  };
}

/** A sink whose errors name the file. */
const namedSink = (sink: ByteSink, fileName: string): ByteSink => ({
  write: (bytes) =>
    sink.write(bytes).catch((cause: Error) => {
      throw new DecoderError("write-failed", `${fileName} could not be written (${cause.message})`, {
        cause,
      });
    }),
  close: () => sink.close(),
});

/** Divisors of the frequencies; see `frequencyFactors`. */
const FREQUENCIES = "rope_freqs.weight";

/**
 * Why a GGUF file cannot hold a model in the way llama.cpp runs it, or `undefined` when it can.
 *
 * @param maxPositions - Longest context of the output: windows that reach as far do not matter.
 * @example
 * ```ts no-run
 * ggufObstacle(config, 4096); // "layer 0 adds ALiBi to its scores"
 * ```
 */
export const ggufObstacle = (config: ModelConfig, maxPositions: number): string | undefined =>
  plainDecoderObstacle(config, maxPositions);

/** Whether a GGUF file has a place for biases that the input lacks. */
export const ggufTakesBiases = (config: ModelConfig): boolean =>
  findArchitecture(config, { newBiases: true }) !== undefined;

function chooseLayout({ config, kvHeads, newBiases, maxPositions }: ggufOutput.Options): BlockLayout {
  const obstacle = plainDecoderObstacle(config, maxPositions);
  const architecture = findArchitecture(config, { newBiases });
  if (obstacle === undefined && architecture !== undefined) return { architecture, kvHeads, newBiases };
  throw new DecoderError(
    "unsupported-model",
    `gguf: llama.cpp has no plain decoder for this model (${obstacle ?? "biases beside norms of queries and keys"}); write onnx`,
  );
}

const fileMetadata = (options: ggufOutput.Options, layout: BlockLayout): Metadata => ({
  ...modelMetadata(options.config, { ...options, layout }),
  ...Object.fromEntries(Object.entries(options.metadata ?? {}).map(([key, value]) => [key, text(value)])),
  ...options.tokenizer,
});

const modelSlots = (config: ModelConfig, layout: BlockLayout) => ({
  embedding: embeddingSlots(config),
  blocks: config.blocks.map((_, layer) => blockSlots(config, layer, layout)),
  head: headSlots(config),
});

function describeTensors(
  { embedding, blocks, head }: ReturnType<typeof modelSlots>,
  factors: Float32Array | undefined,
  matrices: TensorType,
): readonly GgufTensor[] {
  const slots = [...embedding, ...blocks.flat(), ...head];
  const tensors = slots.map(({ name, shape }) => ({ name, shape, type: storedType(shape, matrices) }));
  return factors === undefined
    ? tensors
    : [{ name: FREQUENCIES, shape: [factors.length], type: "F32" }, ...tensors];
}

/** llama.cpp wants vectors in float32, and rows of whole blocks; matrices with other rows are then in float16. */
function storedType(shape: readonly number[], matrices: TensorType): TensorType {
  if (shape.length === 1) return "F32";
  return shape.at(-1)! % tensorTypes[matrices].block === 0 ? matrices : "F16";
}
