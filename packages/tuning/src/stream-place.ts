import { createGraphBuilder } from "@kvfold/onnx";
import type {
  Feeds,
  Results,
  Session,
  SessionOptions,
  SessionProvider,
  Tensor,
  TensorMemory,
} from "@kvfold/runtime";
import { feedsOf } from "./tensors.js";

/** Dimensions of outputs, by their names; without dimensions, an output goes to the memory of the processor. */
export type OutputDims = Readonly<Record<string, readonly number[] | undefined>>;

/** Where hidden states and gradients lie between runs. */
export interface StreamPlace {
  /**
   * Whether that is the memory of a device such as a GPU. Sessions that wrote there have to stay open: ONNX Runtime 1.30 crashes
   * when what a closed one wrote is read by another and given back.
   */
  readonly isDevice: boolean;
  /** Runs a session on those of `feeds` that it takes, and leaves float32 outputs in this place. */
  run(session: Session, feeds: Feeds, outputs: OutputDims): Promise<Results>;
  /** The numbers of a tensor in this place. */
  read(tensor: Tensor): Promise<Float32Array>;
  /** Gives the memory of a tensor back. */
  release(tensor: Tensor): void;
  dispose(): Promise<void>;
}

/** The memory of the processor. */
const hostPlace: StreamPlace = {
  isDevice: false,
  run: (session, feeds, outputs) => session.run(feedsOf(session, feeds), Object.keys(outputs)),
  read: async ({ data }) => data as Float32Array,
  release() {},
  async dispose() {},
};

/** Memory of the device that a provider runs graphs on, where that can be written to and read; else that of the processor. */
export async function openStreamPlace(
  provider: SessionProvider,
  options?: SessionOptions,
): Promise<StreamPlace> {
  if (provider.graph === "delta") return hostPlace;
  // A session has to be open for as long as its memory is used.
  const owner = await provider.createSession({ bytes: identityGraph() }, options);
  const { memory, writesInPlace } = owner;
  if (memory?.read !== undefined && writesInPlace)
    return devicePlace(owner, memory as Required<TensorMemory>);
  await owner.dispose();
  return hostPlace;
}

const devicePlace = (owner: Session, memory: Required<TensorMemory>): StreamPlace => ({
  isDevice: true,
  run(session, feeds, outputs) {
    const places = Object.entries(outputs).map(
      ([name, dims]) => [name, dims === undefined ? null : memory.allocate("float32", dims)] as const,
    );
    return session.run(feedsOf(session, feeds), Object.fromEntries(places));
  },
  read: (tensor) => memory.read(tensor),
  release: (tensor) => tensor.dispose(),
  dispose: () => owner.dispose(),
});

function identityGraph(): Uint8Array {
  const graph = createGraphBuilder({ graphName: "identity", opsets: { "": 21 } });
  graph.input("x", "float32", [1]);
  graph.nodeWithOutputs("Identity", ["x"], ["y"], { name: "identity" });
  graph.output("y", "float32", [1]);
  return graph.toBytes();
}
