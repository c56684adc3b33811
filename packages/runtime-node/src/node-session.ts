import {
  type Feeds,
  type Fetches,
  type ModelSource,
  type Results,
  RuntimeError,
  type Session,
  type SessionOptions,
  type Tensor,
  type TensorInfo,
} from "@kvfold/runtime";
import type { InferenceSession } from "onnxruntime-node";
import { ortMessage } from "./ort-message.js";

/** The `onnxruntime-node` module, or what of it is used. */
export type OrtNode = Pick<typeof import("onnxruntime-node"), "InferenceSession" | "Tensor">;

/** Only fatal messages: what else ONNX Runtime would print arrives as an error anyway. */
const LOG_FATAL = 4;

/**
 * Loads a model into ONNX Runtime.
 *
 * @throws {RuntimeError} `session-failed` when ONNX Runtime refuses the model or its external data.
 */
export async function openSession(
  ort: OrtNode,
  source: ModelSource,
  options: SessionOptions = {},
): Promise<Session> {
  const label = "path" in source ? source.path : `a model of ${source.bytes.length} bytes`;
  try {
    const session = await create(ort, source, toOrtOptions(options));
    return new NodeSession(ort, session, label);
  } catch (cause) {
    throw new RuntimeError(
      "session-failed",
      `createSession: ONNX Runtime refused ${label}: ${ortMessage(cause)}`,
      { cause },
    );
  }
}

function create(
  { InferenceSession }: OrtNode,
  source: ModelSource,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  if ("path" in source) return InferenceSession.create(source.path, options);
  const { bytes, externalData } = source;
  return InferenceSession.create(bytes, externalData === undefined ? options : { ...options, externalData });
}

const toOrtOptions = ({
  threads,
  optimization,
  prepack = true,
}: SessionOptions): InferenceSession.SessionOptions => ({
  executionProviders: ["cpu"],
  logSeverityLevel: LOG_FATAL,
  ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
  ...(optimization === undefined ? {} : { graphOptimizationLevel: optimization }),
  ...(prepack ? {} : { extra: { session: { disable_prepacking: "1" } } }),
});

class NodeSession implements Session {
  readonly writesInPlace = true;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #ort: OrtNode;
  readonly #label: string;
  #session: InferenceSession | undefined;

  constructor(ort: OrtNode, session: InferenceSession, label: string) {
    this.#ort = ort;
    this.#session = session;
    this.#label = label;
    this.inputs = session.inputMetadata.map(toTensorInfo);
    this.outputs = session.outputMetadata.map(toTensorInfo);
  }

  async run(feeds: Feeds, fetches?: Fetches): Promise<Results> {
    if (this.#session === undefined) {
      throw new RuntimeError("disposed", `run: the session of ${this.#label} was disposed: create another`);
    }
    try {
      return await this.#session.run(feeds, this.#toOrtFetches(fetches), { logSeverityLevel: LOG_FATAL });
    } catch (cause) {
      throw new RuntimeError(
        "run-failed",
        `run: ONNX Runtime failed on ${this.#label}: ${ortMessage(cause)}`,
        { cause },
      );
    }
  }

  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }

  /**
   * ONNX Runtime silently ignores outputs to write into that are no instances of its own `Tensor`, such as those of the
   * ES module build of onnxruntime-common (it loads the CommonJS one): same memory, new tensor.
   */
  #toOrtFetches(fetches: Fetches = this.outputs.map(({ name }) => name)): InferenceSession.FetchesType {
    if (isNames(fetches)) return fetches;
    return Object.fromEntries(
      Object.entries(fetches).map(([name, tensor]) => [name, tensor && this.#adopt(tensor)]),
    );
  }

  #adopt(tensor: Tensor): Tensor {
    const { Tensor } = this.#ort;
    return tensor instanceof Tensor ? tensor : new Tensor(tensor.type, tensor.data, tensor.dims);
  }
}

const isNames = (fetches: Fetches): fetches is readonly string[] => Array.isArray(fetches);

function toTensorInfo(metadata: InferenceSession.ValueMetadata): TensorInfo {
  if (!metadata.isTensor) throw new TypeError(`expected tensors only, found ${metadata.name} to be none`);
  const { name, type, shape } = metadata;
  return { name, type, shape };
}
