import { type MatrixProducts, meanOf } from "@kvfold/linalg";
import { ConverterError } from "../converter-error.js";
import type { Basis, JointBasis, JointGroup, Method, Side } from "../methods/method.js";
import { requireBases, requireJointBases } from "../methods/require-bases.js";
import type { Retained } from "../methods/retained.js";
import type { LayerPlan, SidePlan } from "../plan/fold-plan.js";
import { chunksOfLayer } from "./chunks-of-pairs.js";
import { groupsOf, type LayerContext, momentsOf } from "./group.js";
import { jointGroupsOf } from "./joint-groups.js";
import { oneByOne } from "./one-by-one.js";

/** The bases of one layer, a basis per group of heads for each side. */
export interface SideBases {
  readonly keys: readonly Basis[];
  readonly values: readonly Basis[];
}

/** The bases of one layer whose keys and values share latents, a basis per group of heads. */
export interface JointBases {
  readonly joint: readonly JointBasis[];
  /** Slots of a chunk for each pair of a head that turns; see `JointLatent` of `@kvfold/decoder`. */
  readonly chunks: readonly number[];
  /** `[2 s d]` of each group: means of its keys before the rotation and of its values, less what the latent leaves out of them. */
  readonly means?: readonly Float64Array[] | undefined;
}

/** What a layer is folded with. */
export type LayerBases = SideBases | JointBases;

/** What {@link chooseGroup} chose for all groups of a layer, in order, by what the bases store. */
export interface ChosenBases extends Partial<SideBases> {
  readonly joint?: readonly JointBasis[];
}

/** A group of heads whose basis depends on no other group's. */
export interface GroupOfHeads {
  readonly stores: Side | "joint";
  readonly index: number;
}

/** The groups of a layer whose bases are chosen one by one; none where the method chooses them together. */
export function separateGroups({ joint, basis, bases }: Method, plan: LayerPlan): readonly GroupOfHeads[] {
  const groups = (stores: GroupOfHeads["stores"], { heads }: SidePlan) =>
    Array.from({ length: heads }, (_, index) => ({ stores, index }));
  if (joint !== undefined) return groups("joint", plan.keys);
  if (bases !== undefined || basis === undefined) return [];
  return [...groups("keys", plan.keys), ...groups("values", plan.values)];
}

/** The basis of one of {@link separateGroups}. */
export async function chooseGroup(
  { stores, index }: GroupOfHeads,
  { joint, basis }: Method,
  plan: LayerPlan,
  context: LayerContext,
  products: MatrixProducts,
): Promise<Basis | JointBasis> {
  if (stores === "joint")
    return joint!(jointGroupsOf(plan, context, chunksOfLayer(context))[index]!, products);
  return basis!(groupsOf(stores, plan[stores], context)[index]!, products);
}

/** The bases of a layer, of which some may have been chosen before. */
export async function chooseBases(
  method: Method,
  plan: LayerPlan,
  context: LayerContext,
  products: MatrixProducts,
  { joint, keys, values }: ChosenBases = {},
): Promise<LayerBases> {
  if (method.joint !== undefined)
    return chooseJoint(
      async (groups) => {
        if (joint !== undefined) return joint;
        return oneByOne(groups, (group) => method.joint!(group, products));
      },
      method,
      plan,
      context,
    );
  return {
    keys: await chooseSide(method, "keys", plan.keys, context, products, keys),
    values: await chooseSide(method, "values", plan.values, context, products, values),
  };
}

/** Those of one side; keys say where they stand to the rotation as the method does. */
export async function chooseSide(
  method: Method,
  side: Side,
  plan: SidePlan,
  context: LayerContext,
  products: MatrixProducts,
  given?: readonly Basis[],
): Promise<readonly Basis[]> {
  const { keysBeforeRope: beforeRope = false } = method;
  const groups = groupsOf(side, plan, context);
  const chosen = given ?? (await basesOf(method)(groups, products));
  requireBases(method, groups, chosen);
  return side === "keys" && beforeRope ? chosen.map((key) => ({ ...key, beforeRope })) : chosen;
}

function basesOf({ name, basis, bases }: Method): Required<Method>["bases"] {
  if (bases !== undefined) return bases;
  if (basis !== undefined)
    return async (groups, products) => oneByOne(groups, (group) => basis(group, products));
  throw new ConverterError(
    "invalid-option",
    `method ${name}: expected one of basis, bases and joint, found none`,
    {
      option: "method",
    },
  );
}

async function chooseJoint(
  choose: (groups: readonly JointGroup[]) => Promise<readonly JointBasis[]>,
  method: Method,
  plan: LayerPlan,
  context: LayerContext,
): Promise<JointBases> {
  const chunks = chunksOfLayer(context);
  const groups = jointGroupsOf(plan, context, chunks);
  const joint = await choose(groups);
  requireJointBases(method, groups, joint);
  const { data: all } = meanOf(momentsOf(context.moments, "keysAndValues"));
  const means = joint.map(({ offset }, group) =>
    meanLeft(all, group, offset, plan.keys.span * context.attention.headDim),
  );
  return { joint, chunks, means };
}

/** The means of a group's keys and values, among those of all keys and then all values, less what its latent leaves out of them. */
function meanLeft(
  all: Float64Array,
  group: number,
  offset: Float64Array | undefined,
  size: number,
): Float64Array {
  return Float64Array.from({ length: 2 * size }, (_, column) => {
    const start = group * size + (column < size ? 0 : all.length / 2 - size);
    return all[start + column]! - (offset?.[column] ?? 0);
  });
}

/** What the bases of a layer keep; those of a joint latent keep it of both sides. */
export function retainedBy(bases: LayerBases): Retained {
  const shares = (side: readonly { readonly retained?: number }[]) => side.map(({ retained }) => retained);
  return "joint" in bases
    ? { keys: shares(bases.joint), values: shares(bases.joint) }
    : { keys: shares(bases.keys), values: shares(bases.values) };
}
