import { loadBlock } from "@kvfold/decoder";
import { type Matrix, plainProducts, projector } from "@kvfold/linalg";
import type { RopeParameters } from "@kvfold/rope";
import {
  type Attended,
  type AttendedHook,
  referenceLogits,
  type Seen,
} from "../../../decoder/test/reference/decoder.js";
import type { Rows } from "../../../decoder/test/reference/layers.js";
import { rotateHeads } from "../../../decoder/test/reference/positions.js";
import { chooseBases, type JointBases, type SideBases } from "../../src/fold/choose-bases.js";
import { layerContext } from "../../src/fold/group.js";
import type { Folded } from "./fold-in-memory.js";

/** What a fold makes of what a layer attends to. */
type Projection = (seen: Seen) => Attended;

/**
 * What a fold must compute, by its definition: the unfolded model in float64 loops, attending to `K P` and `V P + c`
 * with the projectors `P = encode decode` and the constants of the fold's bases. Keys are projected after the rotation,
 * before it where the fold's method says so, or together with values where they share latents.
 */
export async function projectorLogits(folded: Folded, tokens: ArrayLike<number>): Promise<Float64Array> {
  const projections = await chooseProjections(folded);
  const hook: AttendedHook = (layer, seen) => projections[layer]!(seen);
  return (await referenceLogits(folded.checkpoint, tokens, hook)).data;
}

async function chooseProjections({ checkpoint, plan, method, moments }: Folded): Promise<Projection[]> {
  const layers: Projection[] = [];
  for (const [layer, layerPlan] of plan.layers.entries()) {
    const { attention } = await loadBlock(checkpoint, layer);
    const context = layerContext(plan, { layer, attention, moments: moments[layer] ?? {} });
    const bases = await chooseBases(method, layerPlan, context, plainProducts);
    layers.push(
      "joint" in bases
        ? projectJointly(bases, attention.rope)
        : projectSides(bases, method.keysBeforeRope === true),
    );
  }
  return layers;
}

function projectSides(bases: SideBases, beforeRope: boolean): Projection {
  const [keyMaps, valueMaps] = [bases.keys, bases.values].map((side) => side.map(toAffine));
  return ({ keys, keysBeforeRope, rotate, values }) => ({
    keys: beforeRope ? rotate(projectGroups(keysBeforeRope, keyMaps!)) : projectGroups(keys, keyMaps!),
    values: projectGroups(values, valueMaps!),
  });
}

/** `[k, v]` of each group, keys turned by their offsets in their chunks, projected and turned back. */
function projectJointly({ joint, chunks }: JointBases, rope: RopeParameters | undefined): Projection {
  const maps = joint.map(({ offset, ...basis }) => aboutOffset(projector(basis), offset));
  return ({ keysBeforeRope, rotate, values }) => {
    const local = turnInChunks(keysBeforeRope, rope, chunks, 1);
    const projected = projectGroups(interleave(local, values, joint.length), maps);
    const { keys, values: folded } = deinterleave(projected, joint.length);
    return { keys: rotate(turnInChunks(keys, rope, chunks, -1)), values: folded };
  };
}

/** `(x - offset) P + offset`. */
function aboutOffset(matrix: Matrix, offset: Float64Array | undefined): Affine {
  const constant = offset?.map(
    (value, j) => value - offset.reduce((sum, own, i) => sum + own * matrix.data[i * matrix.cols + j]!, 0),
  );
  return { matrix, constant };
}

/** Turns each pair of each head by its offset in its chunk, forth or back. */
function turnInChunks(
  keys: Rows,
  rope: RopeParameters | undefined,
  chunks: readonly number[],
  direction: 1 | -1,
): Rows {
  if (rope === undefined || chunks.every((chunk) => chunk === 1)) return keys;
  return rotateHeads(keys, rope, (row, pair) => direction * (row % chunks[pair]!), 1);
}

/** `[T, Hkv * d]` twice to `[T, groups * 2 * s * d]`: keys, then values of each group. */
function interleave(keys: Rows, values: Rows, groups: number): Rows {
  const size = keys.width / groups;
  const data = new Float64Array(2 * keys.data.length);
  for (let part = 0; part < keys.count * groups; part++) {
    data.set(keys.data.subarray(part * size, (part + 1) * size), 2 * part * size);
    data.set(values.data.subarray(part * size, (part + 1) * size), (2 * part + 1) * size);
  }
  return { count: keys.count, width: 2 * keys.width, data };
}

function deinterleave(joined: Rows, groups: number): Attended {
  const size = joined.width / (2 * groups);
  const side = (first: 0 | 1): Rows => {
    const data = new Float64Array(joined.data.length / 2);
    for (let part = 0; part < joined.count * groups; part++) {
      const from = (2 * part + first) * size;
      data.set(joined.data.subarray(from, from + size), part * size);
    }
    return { count: joined.count, width: joined.width / 2, data };
  };
  return { keys: side(0), values: side(1) };
}

/** `y P + constant` of one group. */
interface Affine {
  readonly matrix: Matrix;
  readonly constant: Float64Array | undefined;
}

const toAffine = (basis: SideBases["keys"][number]): Affine => ({
  matrix: projector(basis),
  constant: basis.offset,
});

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
