import * as ort from "onnxruntime-node";
import type { OrtNode } from "../src/ort-node.js";

/** Memory of the imitated GPU: what a tensor there has in place of a buffer. */
interface Buffer {
  readonly data: ort.Tensor["data"];
  dims: readonly number[];
}

/** What the imitated GPU was asked for. */
export interface FakeGpu {
  readonly ort: OrtNode;
  /** Buffers that were not given back. */
  readonly held: Set<Buffer>;
  /** Sessions that are open. */
  sessions: number;
  /** Bytes of inputs that came from the CPU, and of outputs that went there. */
  readonly moved: { up: number; down: number };
}

/**
 * ONNX Runtime with a WebGPU that is imitated by the CPU: inputs there are copied, outputs that are wanted there are put there, and
 * what is written into is written in place, as onnxruntime-node 1.30 does all of it.
 */
export function fakeGpu(): FakeGpu {
  const held = new Set<Buffer>();
  const fake: FakeGpu = { ort: undefined as never, held, sessions: 0, moved: { up: 0, down: 0 } };
  const toGpu = (type: "float32" | "float16", buffer: Buffer): ort.Tensor => {
    held.add(buffer);
    return ort.Tensor.fromGpuBuffer(buffer as never, {
      dataType: type,
      dims: buffer.dims,
      dispose: () => void held.delete(buffer),
    });
  };
  const toCpu = (tensor: ort.Tensor): ort.Tensor => {
    if (tensor.location !== "gpu-buffer") {
      fake.moved.up += bytesOf(tensor);
      return tensor;
    }
    const buffer = tensor.gpuBuffer as unknown as Buffer;
    if (!held.has(buffer)) throw new Error("Tensor.gpuBuffer has been disposed.");
    return new ort.Tensor(tensor.type, buffer.data as never, tensor.dims);
  };
  const create = async (source: Uint8Array, options: ort.InferenceSession.SessionOptions) => {
    const { preferredOutputLocation: location, ...rest } = options;
    const session = await ort.InferenceSession.create(source, { ...rest, executionProviders: ["cpu"] });
    fake.sessions++;
    const staysOnGpu = (name: string) =>
      location === "gpu-buffer" || (typeof location === "object" && location[name] === "gpu-buffer");
    return {
      inputMetadata: session.inputMetadata,
      outputMetadata: session.outputMetadata,
      async run(feeds: Record<string, ort.Tensor>, fetches?: Record<string, ort.Tensor | null>) {
        const inputs = Object.entries(feeds).map(([name, tensor]) => [name, toCpu(tensor)]);
        const wanted = Object.keys(
          fetches ?? Object.fromEntries(session.outputNames.map((name) => [name, null])),
        );
        const results = await session.run(Object.fromEntries(inputs), wanted);
        return Object.fromEntries(
          wanted.map((name) => {
            const result = results[name]!;
            const target = fetches?.[name];
            if (target?.location === "gpu-buffer" && location === undefined) {
              ((target.gpuBuffer as unknown as Buffer).data as Float32Array).set(result.data as Float32Array);
              return [name, target];
            }
            const { type, data, dims } = result;
            if (staysOnGpu(name)) return [name, toGpu(type as "float32", { data, dims })];
            fake.moved.down += bytesOf(result);
            return [name, result];
          }),
        );
      },
      async release() {
        fake.sessions--;
        await session.release();
      },
    };
  };
  return Object.assign(fake, {
    ort: { ...ort, Tensor: ort.Tensor, InferenceSession: { create } as never, listSupportedBackends },
  });
}

const bytesOf = ({ data }: ort.Tensor): number => (data as Float32Array).byteLength;

const listSupportedBackends = () => [
  { name: "cpu", bundled: true },
  { name: "webgpu", bundled: true },
];
