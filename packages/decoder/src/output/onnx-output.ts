import { type ByteSink, createExternalDataWriter } from "@kvfold/onnx";
import type { ModelConfig } from "../families/read-config.js";
import { createDecoderGraph, type DecoderGraph } from "../graph/decoder-graph.js";
import { type Dtype, dtypes } from "../graph/dtype.js";
import type { AttentionKind } from "../graph/positions.js";
import type { ModelOutput } from "./model-output.js";

/** Opens the files of an output, by name. */
export type OpenSink = (fileName: string) => Promise<ByteSink>;

/** An ONNX output and, once finished, the external data files it wrote. */
export interface OnnxOutput extends ModelOutput {
  readonly fileName: string;
  readonly dataFiles: readonly string[];
}

export declare namespace onnxOutput {
  interface Options {
    readonly config: ModelConfig;
    readonly attention: AttentionKind;
    /** Longest context of the output, in tokens. */
    readonly maxPositions: number;
    readonly dtype: Dtype;
    readonly open: OpenSink;
    readonly metadata?: Readonly<Record<string, string>>;
  }
}

/** Writes the model as an ONNX decoder with external data, streaming weights a block at a time. */
export function onnxOutput(options: onnxOutput.Options): OnnxOutput {
  const { dtype, open } = options;
  const { fileName } = dtypes[dtype];
  const weights = createExternalDataWriter({ fileName: `${fileName}_data`, open });
  const dataFiles: string[] = [];
  let graph: DecoderGraph;
  return {
    fileName,
    dataFiles,
    takesStored: dtypes[dtype].projections === "float",
    async begin(embedding) {
      graph = createDecoderGraph({ ...options, embedding, weights });
      await weights.drain();
    },
    async addBlock(block) {
      graph.addBlock(block);
      await weights.drain();
    },
    async finish(head) {
      const bytes = graph.finish(head);
      dataFiles.push(...(await weights.close()));
      const sink = await open(fileName);
      try {
        await sink.write(bytes);
      } finally {
        await sink.close();
      }
    },
    async abandon() {
      // Closing reports the failed write again, which the caller has already.
      await weights.close().catch(() => {});
    },
  };
}
