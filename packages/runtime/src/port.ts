import { Tensor } from "onnxruntime-common";

export { Tensor };

/** An input or output that a model declares: its shape holds numbers, or names where a dimension is symbolic. */
export interface TensorInfo {
  readonly name: string;
  readonly type: Tensor.Type;
  readonly shape: readonly (number | string)[];
}

/** Tensors of a run by input name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** Tensors of a run by output name. */
export type Results = Readonly<Record<string, Tensor>>;

/**
 * The outputs wanted of a run: their names, or a map from names to tensors to write them into (`null` lets the
 * runtime allocate). Only a session that `writesInPlace` fills the tensors it is given.
 */
export type Fetches = readonly string[] | Readonly<Record<string, Tensor | null>>;

/** Memory that a session writes presents into. */
export interface TensorMemory {
  /** A tensor of zeros; its `dispose` gives the memory back. */
  allocate(type: "float32" | "float16", dims: readonly number[]): Tensor;
  /** Copies the first `tokens` of every head from one cache `[B, heads, T, size]` to one of another `T`. */
  copyTokens(from: Tensor, to: Tensor, tokens: number): void;
  /** The numbers of a float32 tensor that lies there; absent where nothing but a run can read it. */
  read?(tensor: Tensor): Promise<Float32Array>;
}

/** Memory of a device that outlives sessions: every session of its provider reads it and writes into it. */
export interface DeviceMemory extends Required<TensorMemory> {
  /** Bytes that data may take here which could as well lie elsewhere, such as the hidden states of calibration windows. */
  readonly bytes: number;
  /** Fills a float32 tensor that lies here with numbers from the CPU, as many as it has. */
  write(tensor: Tensor, values: Float32Array): Promise<void>;
  /** Gives everything back; tensors that lie here are lost. */
  dispose(): Promise<void>;
}

/** A loaded model, whichever ONNX Runtime runs it. */
export interface Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Whether a tensor given in `fetches` is the memory that the output is written to. */
  readonly writesInPlace: boolean;
  /** Where such tensors must lie; undefined for the memory of the CPU. */
  readonly memory?: TensorMemory | undefined;
  /**
   * Runs the model once.
   *
   * @param fetches - The outputs wanted; all of them by default.
   * @throws {RuntimeError} `run-failed` when ONNX Runtime refuses the feeds or fails; `disposed` after `dispose()`.
   */
  run(feeds: Feeds, fetches?: Fetches): Promise<Results>;
  /** Frees the model. A second call does nothing. */
  dispose(): Promise<void>;
}

/** A file that the tensors of a model given as bytes refer to, under the very name that they use. */
export interface ExternalData {
  readonly path: string;
  readonly data: Uint8Array;
}

/** Where a model is: a file (in browsers a URL), whose external data lies beside it, or bytes. */
export type ModelSource =
  | { readonly path: string }
  | { readonly bytes: Uint8Array; readonly externalData?: readonly ExternalData[] };

/** How a session is set up. What is left out is ONNX Runtime's own default. */
export interface SessionOptions {
  /** Threads of one operator. */
  readonly threads?: number | undefined;
  /** How far ONNX Runtime rewrites the graph. */
  readonly optimization?: "disabled" | "basic" | "extended" | "all" | undefined;
  /**
   * Whether weights are copied into the layout that the kernels like best. Without, a model loaded from a file
   * stays mapped from it: slower products, but almost no memory of its own, and one copy for all its sessions.
   */
  readonly prepack?: boolean | undefined;
  /**
   * Whether threads without work wait for more at full speed for some milliseconds; true unless given. False suits sessions
   * beside others that want the same cores. Runtimes that cannot choose ignore it.
   */
  readonly spinning?: boolean | undefined;
}

/** A runtime that can load models: Node's, a browser's, or one of your own. */
export interface SessionProvider {
  readonly name: string;
  /**
   * Which of a model's graphs its sessions run fastest: `delta` where feeds are read from the memory of the CPU, `standard`
   * where caches stay elsewhere. Standard unless said.
   */
  readonly graph?: "standard" | "delta";
  /**
   * Loads a model.
   *
   * @throws {RuntimeError} `model-unreadable`, `session-failed`, or `runtime-missing`.
   */
  createSession(source: ModelSource, options?: SessionOptions): Promise<Session>;
  /**
   * Opens memory of the device that runs the sessions. Absent where sessions run on the CPU, or where nothing but a
   * session's own {@link Session.memory} lies there.
   *
   * @throws {RuntimeError} `runtime-missing`.
   */
  openMemory?(): Promise<DeviceMemory>;
}
