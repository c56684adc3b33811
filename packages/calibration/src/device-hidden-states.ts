import type { DeviceMemory, Tensor } from "@kvfold/runtime";
import type { HiddenStatesFactory } from "./hidden-states.js";

export declare namespace deviceHiddenStates {
  interface Options {
    /** Opens the memory of the device; it is disposed with the last of the hidden states that lie there. */
    readonly openMemory: () => Promise<DeviceMemory>;
    /** Tokens `S` of a window. */
    readonly length: number;
    /** Makes the hidden states of windows that the device has no memory for. */
    readonly host: HiddenStatesFactory;
  }
}

/**
 * Hidden states in the memory of the device that runs the graphs, as many windows as fit into its `bytes`, and the other
 * windows where `host` keeps them. A window takes `4 * S * D` bytes there, and each stream those of one window more, so that
 * a run may write a window that it reads.
 */
export function deviceHiddenStates({
  openMemory,
  length,
  host,
}: deviceHiddenStates.Options): HiddenStatesFactory {
  const pool = createPool(openMemory);
  return async (windows, size) => {
    const lease = await pool.lease();
    const onHost = lazily(() => host(windows, size));
    const states = statesOnDevice(lease, [1, length, size / length], windows);
    return {
      windows,
      onDevice: {
        ...states,
        async fill(index) {
          states.fill(index);
          await onHost.ifThere((known) => known.write(index, NO_STATES));
        },
      },
      async read(index) {
        const tensor = states.get(index);
        return tensor === undefined ? (await onHost.get()).read(index) : lease.memory.read(tensor);
      },
      async write(index, values) {
        const room = states.room();
        if (room === undefined) {
          states.drop(index);
          return (await onHost.get()).write(index, values);
        }
        await lease.memory.write(room, values);
        states.fill(index);
        await onHost.ifThere((known) => known.write(index, NO_STATES));
      },
      async dispose() {
        states.clear();
        await onHost.ifThere((known) => known.dispose());
        await lease.end();
      },
    };
  };
}

/** In place of the states of a window that moved to the device: host memory of its own is free again. */
const NO_STATES = new Float32Array(0);

/** A share in the memory of the device, and in its bytes. */
interface Lease {
  readonly memory: DeviceMemory;
  /** A tensor of these dimensions, as long as there are bytes for it. */
  allocate(dims: readonly number[]): Tensor | undefined;
  free(tensor: Tensor): void;
  end(): Promise<void>;
}

/** Memory that is open as long as anybody has a lease of it. */
function createPool(open: () => Promise<DeviceMemory>): { lease(): Promise<Lease> } {
  let opened: Promise<DeviceMemory> | undefined;
  let leases = 0;
  let taken = 0;
  return {
    async lease() {
      leases++;
      opened ??= open();
      const memory = await opened;
      return {
        memory,
        allocate(dims) {
          const bytes = bytesOf(dims);
          if (taken + bytes > memory.bytes) return undefined;
          taken += bytes;
          return memory.allocate("float32", dims);
        },
        free(tensor) {
          taken -= bytesOf(tensor.dims);
          tensor.dispose();
        },
        async end() {
          if (--leases > 0) return;
          opened = undefined;
          await memory.dispose();
        },
      };
    },
  };
}

const bytesOf = (dims: readonly number[]): number =>
  Float32Array.BYTES_PER_ELEMENT * dims.reduce((product, size) => product * size, 1);

/** Tensors of the same dimensions, one for each window that has states on the device, and a spare one. */
function statesOnDevice(lease: Lease, dims: readonly number[], windows: number) {
  const held: (Tensor | undefined)[] = Array.from({ length: windows });
  let spare: Tensor | undefined;
  const keepSpare = (tensor: Tensor | undefined) => {
    if (spare === undefined) spare = tensor;
    else if (tensor !== undefined) lease.free(tensor);
  };
  return {
    get: (index: number) => held[index],
    room() {
      spare ??= lease.allocate(dims);
      return spare;
    },
    fill(index: number) {
      const before = held[index];
      held[index] = spare;
      spare = undefined;
      keepSpare(before);
    },
    drop(index: number) {
      const before = held[index];
      held[index] = undefined;
      keepSpare(before);
    },
    clear() {
      for (const tensor of [...held, spare]) if (tensor !== undefined) lease.free(tensor);
      held.fill(undefined);
      spare = undefined;
    },
  };
}

/** A value that is made when it is first asked for. */
function lazily<T>(make: () => Promise<T>) {
  let made: Promise<T> | undefined;
  return {
    get: () => {
      made ??= make();
      return made;
    },
    ifThere: async (use: (value: T) => Promise<void>) => {
      if (made !== undefined) await use(await made);
    },
  };
}
