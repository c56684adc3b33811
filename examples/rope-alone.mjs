/**
 * Rotary embeddings without a model: cached keys move to other positions, with no original key at hand.
 * `node examples/rope-alone.mjs`
 */
import { applyRope, rerotateKeys, ropeFrequencies, ropeParameters, ropeTables } from "@kvfold/rope";

const shape = { heads: 2, headDim: 8 };
const parameters = ropeParameters({ head_dim: shape.headDim, rope_theta: 10_000 });
const frequencies = ropeFrequencies(parameters, 64);
const tablesAt = (positions) => ropeTables({ ...frequencies, positions });

// Keys of four tokens, cached at positions 2 to 5 …
const keys = Float32Array.from({ length: 4 * shape.heads * shape.headDim }, (_, i) => Math.sin(i));
const cached = applyRope(keys, { ...shape, tables: tablesAt([2, 3, 4, 5]) });

// … move two back when the first two tokens leave the context: as if they had always been there.
const { inverseFrequencies } = frequencies;
const moved = rerotateKeys(cached, { ...shape, inverseFrequencies, deltas: [-2, -2, -2, -2] });
const expected = applyRope(keys, { ...shape, tables: tablesAt([0, 1, 2, 3]) });

const difference = Math.max(...moved.map((value, i) => Math.abs(value - expected[i])));
console.log(`largest difference to keys rotated at their new positions: ${difference.toExponential(1)}`);
