import { loadBlock } from "@kvfold/decoder";
import { type Matrix, plainProducts, projector } from "@kvfold/linalg";
import { type AttendedHook, referenceLogits } from "../../../decoder/test/reference/decoder.js";
import type { Rows } from "../../../decoder/test/reference/layers.js";
import { chooseBases } from "../../src/fold/fold-layer.js";
import { layerContext } from "../../src/fold/group.js";
import type { Basis } from "../../src/index.js";
import type { Folded } from "./fold-in-memory.js";

/**
 * What a fold must compute, by its definition: the unfolded model in float64 loops, attending to `K P` and `V P + c`
 * with the projectors `P = encode decode` and the constants of the fold's bases. Keys are projected after the rotation,
 * or before it where the fold's method says so.
 */
export async function projectorLogits(folded: Folded, tokens: ArrayLike<number>): Promise<Float64Array> {
  const projectors = await chooseProjectors(folded);
  const beforeRope = folded.method.keysBeforeRope === true;
  const hook: AttendedHook = (layer, { keys, keysBeforeRope, rotate, values }) => ({
    keys: beforeRope
      ? rotate(projectGroups(keysBeforeRope, projectors[layer]!.keys))
      : projectGroups(keys, projectors[layer]!.keys),
    values: projectGroups(values, projectors[layer]!.values),
  });
  return (await referenceLogits(folded.checkpoint, tokens, hook)).data;
}

async function chooseProjectors({ checkpoint, plan, method, moments }: Folded) {
  const layers = [];
  for (const [layer, layerPlan] of plan.layers.entries()) {
    const { attention } = await loadBlock(checkpoint, layer);
    const context = layerContext(plan, { layer, attention, moments: moments[layer] ?? {} });
    const bases = await chooseBases(method, layerPlan, context, plainProducts);
    layers.push({ keys: bases.keys.map(toAffine), values: bases.values.map(toAffine) });
  }
  return layers;
}

/** `y P + constant` of one group. */
interface Affine {
  readonly matrix: Matrix;
  readonly constant: Float64Array | undefined;
}

const toAffine = (basis: Basis): Affine => ({ matrix: projector(basis), constant: basis.offset });

/** Every group of columns of `x [T, groups * n]` by its own map. */
function projectGroups(x: Rows, groups: readonly Affine[]): Rows {
  const data = new Float64Array(x.data.length);
  const size = x.width / groups.length;
  for (let row = 0; row < x.count; row++) {
    for (const [group, { matrix, constant }] of groups.entries()) {
      const start = row * x.width + group * size;
      if (constant !== undefined) data.set(constant, start);
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) data[start + j]! += x.data[start + i]! * matrix.data[i * size + j]!;
      }
    }
  }
  return { ...x, data };
}
