import { type DeviceMemory, RuntimeError, Tensor } from "@kvfold/runtime";
import type { InferenceSession } from "onnxruntime-node";
import { copyGraph, type FloatType, resizeGraph, zerosGraph } from "./memory-graphs.js";
import { ortFailure } from "./ort-failure.js";
import type { OrtNode } from "./ort-node.js";
import type { WorkQueue } from "./work-queue.js";

/** Where the memory of a WebGPU device is got from. */
interface GpuMemoryOptions {
  readonly ort: OrtNode;
  /** How sessions are made on the device. */
  readonly session: InferenceSession.SessionOptions;
  /** All work on the device goes through it: a process has one device. */
  readonly queue: WorkQueue;
  /** Bytes that data may take which could as well lie elsewhere; 0 unless given. */
  readonly bytes?: number;
}

/**
 * A place for numbers on the GPU. The tensors of this package hold one in place of a buffer: what ONNX Runtime has there is
 * made by running a graph, which takes a moment, and a tensor must be there at once.
 */
class Place {
  /** Whose sessions make what is held: it must not outlive them. */
  readonly owner: GpuMemory;
  readonly type: FloatType;
  readonly dims: readonly number[];
  /** ONNX Runtime's own tensor, once there is one. */
  held: Tensor | undefined;

  constructor(owner: GpuMemory, type: FloatType, dims: readonly number[], held?: Tensor) {
    this.owner = owner;
    this.type = type;
    this.dims = dims;
    this.held = held;
  }
}

/**
 * Memory of a GPU behind onnxruntime-node, which gives programs no access to it: memory is what small graphs have left on the
 * device, and it is copied by further ones. All work on it is done in the order in which it was asked for, and runs of the model
 * are part of that order ({@link exclusively}). Memory of one session is given back with it; memory of its own lasts until it is
 * disposed, and keeps the device open.
 */
export class GpuMemory implements DeviceMemory {
  readonly bytes: number;
  readonly #options: GpuMemoryOptions;
  readonly #sessions = new Map<string, Promise<InferenceSession>>();
  readonly #places = new Set<Place>();
  #failure: RuntimeError | undefined;

  constructor(options: GpuMemoryOptions) {
    this.#options = options;
    this.bytes = options.bytes ?? 0;
  }

  allocate(type: FloatType, dims: readonly number[]): Tensor {
    return this.#tensorOf(new Place(this, type, dims));
  }

  /** A tensor in place of one that a run has left on the GPU. */
  adopt(held: Tensor): Tensor {
    return this.#tensorOf(new Place(this, held.type as FloatType, held.dims, held));
  }

  copyTokens(from: Tensor, to: Tensor, tokens: number): void {
    const [source, target] = [placeOf(from), placeOf(to)];
    void this.#options
      .queue(async () => {
        release(target);
        target.held = await this.#resized(await this.#filled(source), target, tokens);
      })
      .catch((cause: unknown) => {
        this.#failure ??= ortFailure("run-failed", "moving a cache on the GPU", cause);
      });
  }

  async read(tensor: Tensor): Promise<Float32Array> {
    const place = placeOf(tensor);
    return this.exclusively(async () => {
      const session = await this.#session("copy", place.type);
      const { y } = await session.run({ x: this.#view(await this.#filled(place), [sizeOf(place.dims)]) });
      return y!.data as Float32Array;
    });
  }

  async write(tensor: Tensor, values: Float32Array): Promise<void> {
    const place = placeOf(tensor);
    await this.exclusively(async () => {
      const session = await this.#session("upload", place.type);
      const { y } = await session.run({
        x: new this.#options.ort.Tensor("float32", values, [values.length]),
      });
      release(place);
      place.held = this.#view(y!, place.dims);
    });
  }

  /** Does work on the device when all that was asked for before is done. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#options.queue(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        return await work();
      } catch (cause) {
        throw ortFailure("run-failed", "run: ONNX Runtime failed in the memory of the GPU", cause);
      }
    });
  }

  /** What ONNX Runtime can be given for a tensor on the device; within {@link exclusively}. */
  async resolve(tensor: Tensor): Promise<Tensor> {
    const place = placeOf(tensor);
    return place.owner.#filled(place);
  }

  /** Whether a tensor lies on the device, in this memory or in another. */
  holds = (tensor: Tensor): boolean =>
    tensor.location === "gpu-buffer" && (tensor.gpuBuffer as unknown) instanceof Place;

  /** Gives everything back. */
  dispose(): Promise<void> {
    return this.#options.queue(async () => {
      for (const place of this.#places) release(place);
      this.#places.clear();
      for (const session of this.#sessions.values()) await (await session).release();
      this.#sessions.clear();
    });
  }

  #tensorOf(place: Place): Tensor {
    this.#places.add(place);
    return Tensor.fromGpuBuffer(place as unknown as Tensor.GpuBufferType, {
      dataType: place.type,
      dims: place.dims,
      dispose: () => {
        void this.#options.queue(async () => {
          release(place);
          this.#places.delete(place);
        });
      },
    });
  }

  /** What a place holds; zeros to begin with. */
  async #filled(place: Place): Promise<Tensor> {
    if (place.held !== undefined) return place.held;
    const session = await this.#session("zeros", place.type);
    const { y } = await session.run({ shape: this.#int64([sizeOf(place.dims)]) });
    place.held = this.#view(y!, place.dims);
    return place.held;
  }

  async #resized(held: Tensor, { type, dims }: Place, tokens: number): Promise<Tensor> {
    const session = await this.#session("resize", type);
    const pads = [0, 0, 0, 0, 0, 0, dims[2]! - tokens, 0];
    const { y } = await session.run({
      x: held,
      tokens: this.#int64([tokens]),
      pads: this.#int64(pads),
    });
    return y!;
  }

  /** The same memory with other dimensions; disposing of either gives it back. */
  #view(held: Tensor, dims: readonly number[]): Tensor {
    const { Tensor: OrtTensor } = this.#options.ort;
    return OrtTensor.fromGpuBuffer(held.gpuBuffer, {
      dataType: held.type as FloatType,
      dims,
      dispose: () => held.dispose(),
    });
  }

  #int64(values: readonly number[]): Tensor {
    return new this.#options.ort.Tensor("int64", BigInt64Array.from(values, BigInt), [values.length]);
  }

  #session(name: keyof typeof graphs, type: FloatType): Promise<InferenceSession> {
    const key = `${name} ${type}`;
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const { ort, session } = this.#options;
    const location = name === "copy" ? {} : { preferredOutputLocation: "gpu-buffer" as const };
    const made = ort.InferenceSession.create(graphs[name](type), { ...session, ...location });
    this.#sessions.set(key, made);
    return made;
  }
}

/** What comes from the CPU and stays on the device is copied by the same graph as what goes there. */
const graphs = { zeros: zerosGraph, resize: resizeGraph, copy: copyGraph, upload: copyGraph };

const sizeOf = (dims: readonly number[]): number => dims.reduce((product, size) => product * size, 1);

function release(place: Place): void {
  place.held?.dispose();
  place.held = undefined;
}

function placeOf(tensor: Tensor): Place {
  const place: unknown = tensor.location === "gpu-buffer" ? tensor.gpuBuffer : undefined;
  if (place instanceof Place) return place;
  throw new RuntimeError(
    "invalid-argument",
    `expected a tensor in the GPU memory of this session, found one in ${tensor.location}`,
  );
}
