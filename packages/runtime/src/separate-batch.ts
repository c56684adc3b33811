import { checkKept, checkSequences } from "./check-batch.js";
import type { DecodingBatch } from "./decoding-batch.js";
import type { DecodingState } from "./decoding-state.js";
import type { Logits } from "./logits.js";

/** A batch of a graph that takes one sequence at a time: correct, and no faster than one after the other. */
export function createSeparateBatch(
  createState: () => DecodingState,
  size: number,
  maxPositions: number,
): DecodingBatch {
  const createStates = (count: number) => Array.from({ length: count }, createState);
  let states: readonly DecodingState[] = createStates(size);
  const longest = () => Math.max(0, ...states.map(({ length }) => length));
  const each = async (
    states: readonly DecodingState[],
    tokens: readonly ArrayLike<number>[],
    run: (state: DecodingState, ids: ArrayLike<number>) => Promise<Float32Array>,
  ): Promise<Logits> => {
    checkSequences(tokens.length, states.length);
    const rows: Float32Array[] = [];
    for (const [index, state] of states.entries()) rows.push((await run(state, tokens[index]!)).slice());
    return stack(rows);
  };
  return {
    get size() {
      return states.length;
    },
    get cacheBytes() {
      return states.reduce((sum, { cacheBytes }) => sum + cacheBytes, 0);
    },
    get room() {
      return maxPositions - longest();
    },
    get slots() {
      return longest();
    },
    prefill: (prompts) => each(states, prompts, (state, ids) => state.prefill(ids)),
    takes: (length) => states.some((state) => state.length > 0) && length <= maxPositions,
    async join(prompts) {
      const added = createStates(prompts.length);
      try {
        const logits = await each(added, prompts, (state, ids) => state.prefill(ids));
        states = [...states, ...added];
        return logits;
      } catch (error) {
        for (const state of added) state.dispose();
        throw error;
      }
    },
    decode: (ids) =>
      each(
        states,
        Array.from(ids, (id) => [id]),
        (state, token) => state.prefill(token),
      ),
    keep(sequences) {
      checkKept(sequences, states.length);
      const kept = sequences.map((sequence) => states[sequence]!);
      for (const state of states) if (!kept.includes(state)) state.dispose();
      states = kept;
    },
    dispose() {
      for (const state of states) state.dispose();
    },
  };
}

function stack(rows: readonly Float32Array[]): Logits {
  const columns = rows[0]?.length ?? 0;
  const data = new Float32Array(rows.length * columns);
  for (const [index, row] of rows.entries()) data.set(row, index * columns);
  return { rows: rows.length, columns, data };
}
