import type { CausalLM, DecodingState, Logits } from "../src/index.js";

/** The logits after reading `context`, the last token of which is the newest. */
export type LogitsAfter = (context: readonly number[], firstPosition: number) => readonly number[];

/** A model whose logits are a function of what it has read since the last `clear`. */
export function fakeModel(
  logitsAfter: LogitsAfter,
  vocabularySize: number = logitsAfter([0], 0).length,
): CausalLM {
  const createState = ({ firstPosition = 0 }: CausalLM.StateOptions = {}): DecodingState => {
    let read: number[] = [];
    const append = (ids: ArrayLike<number>): Logits => {
      const rows = Array.from(ids, (id) => {
        read = [...read, id];
        return logitsAfter(read, firstPosition);
      });
      return { rows: rows.length, columns: vocabularySize, data: Float32Array.from(rows.flat()) };
    };
    return {
      forward: async (ids: ArrayLike<number>) => append(ids),
      prefill: async (ids: ArrayLike<number>) => append(ids).data.slice(-vocabularySize),
      clear() {
        read = [];
      },
      dispose() {},
    } as unknown as DecodingState;
  };
  return { vocabularySize, createState } as unknown as CausalLM;
}

/** Everything that an async generator yields. */
export async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
