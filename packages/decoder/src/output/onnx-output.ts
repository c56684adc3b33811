import { type ByteSink, createExternalDataWriter, sharedWeights } from "@kvfold/onnx";
import type { CachePrecision } from "@kvfold/runtime";
import type { ModelConfig } from "../families/read-config.js";
import { createDecoderGraph, type DecoderGraph } from "../graph/decoder-graph.js";
import { type Dtype, dtypes } from "../graph/dtype.js";
import { ownGraphs } from "../graph/own-graphs.js";
import type { AttentionKind } from "../graph/positions.js";
import { standardForm } from "../graph/standard-form.js";
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
    /** Graphs of quantised caches to write besides; none unless given. */
    readonly cachePrecisions?: readonly CachePrecision[] | undefined;
  }
}

/**
 * Writes the model as ONNX decoders with external data, streaming weights a block at a time: the standard graph, which
 * other runtimes load, and over the same data graphs for runtimes that own the cache: a delta graph with a cache of the model's
 * own floats, a policy graph for runtimes that drop tokens of the cache, and on request policy graphs of quantised caches.
 */
export function onnxOutput(options: onnxOutput.Options): OnnxOutput {
  const { dtype, open, attention, cachePrecisions: precisions = [] } = options;
  const { fileName, deltaFileName } = dtypes[dtype];
  const data = createExternalDataWriter({ fileName: `${fileName}_data`, open });
  const weights = sharedWeights(data);
  const dataFiles: string[] = [];
  let graphs: readonly (readonly [string, DecoderGraph])[] = [];
  return {
    fileName,
    dataFiles,
    takesStored: dtypes[dtype].projections === "float",
    async begin(embedding) {
      const shared = { ...options, embedding, weights };
      const metadata = { ...options.metadata, delta_graph: deltaFileName };
      graphs = [
        [fileName, createDecoderGraph({ ...shared, form: standardForm(attention), metadata })],
        ...ownGraphs(dtype, precisions).map(
          ([name, form]) => [name, createDecoderGraph({ ...shared, form })] as const,
        ),
      ];
      await data.drain();
    },
    async addBlock(block) {
      for (const [, graph] of graphs) graph.addBlock(block);
      await data.drain();
    },
    async finish(head) {
      const files = graphs.map(([name, graph]) => [name, graph.finish(head)] as const);
      dataFiles.push(...(await data.close()));
      for (const [name, bytes] of files) await writeFile(open, name, bytes);
    },
    async abandon() {
      // Closing reports the failed write again, which the caller has already.
      await data.close().catch(() => {});
    },
  };
}

async function writeFile(open: OpenSink, name: string, bytes: Uint8Array): Promise<void> {
  const sink = await open(name);
  try {
    await sink.write(bytes);
  } finally {
    await sink.close();
  }
}
