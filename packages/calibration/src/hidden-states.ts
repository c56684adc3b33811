import type { Tensor } from "@kvfold/runtime";

/** Hidden states of a set of windows, each float32 `[S, D]`: the stream that goes down the model block by block. */
export interface HiddenStates {
  readonly windows: number;
  /** The states of window `index`, which may be written again afterwards. */
  read(index: number): Promise<Float32Array>;
  write(index: number, states: Float32Array): Promise<void>;
  /** Where the states lie on the device that runs the graphs; undefined for those that come from the CPU at each run. */
  readonly onDevice?: StatesOnDevice | undefined;
  dispose(): Promise<void>;
}

/** The part of hidden states that lies in the memory of a device, as tensors `[1, S, D]` that graphs read and write there. */
export interface StatesOnDevice {
  /** The states of window `index`; undefined where they do not lie on the device. */
  get(index: number): Tensor | undefined;
  /**
   * A tensor for a run to write the states of a window to, which no window has yet: the run may read those that it replaces.
   * Undefined where the device has no memory left for it.
   */
  room(): Tensor | undefined;
  /** Takes the tensor that `room` gave last, which a run has written, as the states of window `index`. */
  fill(index: number): Promise<void>;
}

/** Makes empty hidden states for `windows` windows of `size = S * D` numbers. */
export type HiddenStatesFactory = (windows: number, size: number) => Promise<HiddenStates>;

/** Hidden states held in memory: `4 * windows * size` bytes. */
export const memoryHiddenStates: HiddenStatesFactory = async (windows) => {
  const states: (Float32Array | undefined)[] = Array.from({ length: windows });
  return {
    windows,
    read: async (index) => states[index]!,
    write: async (index, values) => {
      states[index] = values;
    },
    dispose: async () => {
      states.length = 0;
    },
  };
};
