/** Hidden states of a set of windows, each float32 `[S, D]`: the stream that goes down the model block by block. */
export interface HiddenStates {
  readonly windows: number;
  /** The states of window `index`, which may be written again afterwards. */
  read(index: number): Promise<Float32Array>;
  write(index: number, states: Float32Array): Promise<void>;
  dispose(): Promise<void>;
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
