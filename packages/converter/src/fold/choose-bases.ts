import type { MatrixProducts } from "@kvfold/linalg";
import { ConverterError } from "../converter-error.js";
import type { Basis, JointBasis, Method, Side } from "../methods/method.js";
import { requireBases, requireJointBases } from "../methods/require-bases.js";
import type { Retained } from "../methods/retained.js";
import type { LayerPlan, SidePlan } from "../plan/fold-plan.js";
import { chunksOfLayer } from "./chunks-of-pairs.js";
import { groupsOf, type LayerContext } from "./group.js";
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
}

/** What a layer is folded with. */
export type LayerBases = SideBases | JointBases;

/** The bases of a layer. */
export async function chooseBases(
  method: Method,
  plan: LayerPlan,
  context: LayerContext,
  products: MatrixProducts,
): Promise<LayerBases> {
  if (method.joint !== undefined) return chooseJoint(method.joint, method, plan, context, products);
  return {
    keys: await chooseSide(method, "keys", plan.keys, context, products),
    values: await chooseSide(method, "values", plan.values, context, products),
  };
}

/** Those of one side; keys say where they stand to the rotation as the method does. */
export async function chooseSide(
  method: Method,
  side: Side,
  plan: SidePlan,
  context: LayerContext,
  products: MatrixProducts,
): Promise<readonly Basis[]> {
  const { keysBeforeRope: beforeRope = false } = method;
  const groups = groupsOf(side, plan, context);
  const chosen = await basesOf(method)(groups, products);
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
  basis: Required<Method>["joint"],
  method: Method,
  plan: LayerPlan,
  context: LayerContext,
  products: MatrixProducts,
): Promise<JointBases> {
  const chunks = chunksOfLayer(context);
  const groups = jointGroupsOf(plan, context, chunks);
  const joint = await oneByOne(groups, (group) => basis(group, products));
  requireJointBases(method, groups, joint);
  return { joint, chunks };
}

/** What the bases of a layer keep; those of a joint latent keep it of both sides. */
export function retainedBy(bases: LayerBases): Retained {
  const shares = (side: readonly { readonly retained?: number }[]) => side.map(({ retained }) => retained);
  return "joint" in bases
    ? { keys: shares(bases.joint), values: shares(bases.joint) }
    : { keys: shares(bases.keys), values: shares(bases.values) };
}
