import {
  type Feeds,
  type Fetches,
  type ModelSource,
  type Results,
  RuntimeError,
  type Session,
  type SessionOptions,
  type TensorInfo,
} from "@kvfold/runtime";
import type { InferenceSession } from "onnxruntime-web";

/** The `onnxruntime-web` module, or what of it is used. */
export type OrtWeb = Pick<typeof import("onnxruntime-web"), "InferenceSession" | "env">;

/** What may run a model in a browser. */
export type ExecutionProvider = "wasm" | "webgpu";

/** Only fatal messages: what else ONNX Runtime would print to the console arrives as an error anyway. */
const LOG_FATAL = 4;

/**
 * Loads a model into ONNX Runtime.
 *
 * @throws {RuntimeError} `session-failed` when the model cannot be fetched, or ONNX Runtime refuses it.
 */
export async function openSession(
  ort: OrtWeb,
  executionProviders: readonly ExecutionProvider[],
  source: ModelSource,
  options: SessionOptions,
): Promise<Session> {
  const label = "path" in source ? source.path : `a model of ${source.bytes.length} bytes`;
  try {
    const session = await create(ort, source, { executionProviders, ...toOrtOptions(options) });
    return new WebSession(session, label);
  } catch (cause) {
    throw new RuntimeError(
      "session-failed",
      `createSession: ONNX Runtime refused ${label}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function create(
  { InferenceSession }: OrtWeb,
  source: ModelSource,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  if ("path" in source) return InferenceSession.create(source.path, options);
  const { bytes, externalData } = source;
  return InferenceSession.create(bytes, externalData === undefined ? options : { ...options, externalData });
}

const toOrtOptions = ({ optimization, prepack = true }: SessionOptions): InferenceSession.SessionOptions => ({
  logSeverityLevel: LOG_FATAL,
  ...(optimization === undefined ? {} : { graphOptimizationLevel: optimization }),
  ...(prepack ? {} : { extra: { session: { disable_prepacking: "1" } } }),
});

class WebSession implements Session {
  readonly writesInPlace = false;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #label: string;
  #session: InferenceSession | undefined;

  constructor(session: InferenceSession, label: string) {
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
      return await this.#session.run(feeds, this.#namesOf(fetches), { logSeverityLevel: LOG_FATAL });
    } catch (cause) {
      throw new RuntimeError(
        "run-failed",
        `run: ONNX Runtime failed on ${this.#label}: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }

  /** Tensors to write into are dropped: they would come back unwritten, and the results would be lost. */
  #namesOf(fetches: Fetches | undefined): readonly string[] {
    if (fetches === undefined) return this.outputs.map(({ name }) => name);
    return isNames(fetches) ? fetches : Object.keys(fetches);
  }
}

const isNames = (fetches: Fetches): fetches is readonly string[] => Array.isArray(fetches);

function toTensorInfo(metadata: InferenceSession.ValueMetadata): TensorInfo {
  if (!metadata.isTensor) throw new TypeError(`expected tensors only, found ${metadata.name} to be none`);
  const { name, type, shape } = metadata;
  return { name, type, shape };
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
