import { checkKept, checkSequences } from "./check-batch.js";
import type { DecodingBatch } from "./decoding-batch.js";
import type { DecodingState } from "./decoding-state.js";
import type { Logits } from "./logits.js";

/** A batch of a graph that takes one sequence at a time: correct, and no faster than one after the other. */
export function createSeparateBatch(initial: readonly DecodingState[], maxPositions: number): DecodingBatch {
  let states = initial;
  const each = async (
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
      return maxPositions - Math.max(...states.map(({ length }) => length));
    },
    prefill: (prompts) => each(prompts, (state, ids) => state.prefill(ids)),
    decode: (ids) =>
      each(
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
