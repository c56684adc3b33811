import type { AttentionWeights } from "@kvfold/decoder";
import type { MatrixProducts } from "@kvfold/linalg";
import { findMethod } from "../methods/index.js";
import type { Basis, Method, Side } from "../methods/method.js";
import { none } from "../methods/none.js";
import { requireBases } from "../methods/require-bases.js";
import type { Retained } from "../methods/retained.js";
import type { LayerPlan, SidePlan } from "../plan/fold-plan.js";
import { foldAttention, type LayerBases } from "./fold-attention.js";
import { groupsOf, type LayerContext } from "./group.js";

/** What folding an attention layer takes. */
export interface FoldLayerInput extends LayerContext {
  readonly method: string;
  readonly plan: LayerPlan;
}

/** A folded attention layer and what its bases keep. */
export interface FoldedLayer {
  readonly attention: AttentionWeights;
  readonly retained: Retained;
}

/**
 * Chooses the bases of an attention layer with the method of that name (one of this package's, or of `methods`), and folds
 * the layer with them; large products are made by `products`.
 *
 * @throws {ConverterError} `invalid-option` when there is no such method, or its bases do not have the shapes of the plan.
 */
export async function foldLayer(
  { method: name, plan, ...context }: FoldLayerInput,
  products: MatrixProducts,
  methods: readonly Method[] = [],
): Promise<FoldedLayer> {
  const { attention } = context;
  const method = findMethod(name, methods);
  if (method === none) return { attention, retained: { keys: [], values: [] } };
  const bases = await chooseBases(method, plan, context, products);
  return {
    attention: foldAttention(attention, bases),
    retained: {
      keys: bases.keys.map(({ retained }) => retained),
      values: bases.values.map(({ retained }) => retained),
    },
  };
}

/** The bases of a layer. */
export const chooseBases = async (
  method: Method,
  plan: LayerPlan,
  context: LayerContext,
  products: MatrixProducts,
): Promise<LayerBases> => ({
  keys: await chooseSide(method, "keys", plan.keys, context, products),
  values: await chooseSide(method, "values", plan.values, context, products),
});

/** Those of one side; keys say where they stand to the rotation as the method does. */
export async function chooseSide(
  method: Method,
  side: Side,
  plan: SidePlan,
  context: LayerContext,
  products: MatrixProducts,
): Promise<readonly Basis[]> {
  const { basis, bases = oneByOne(basis), keysBeforeRope: beforeRope = false } = method;
  const groups = groupsOf(side, plan, context);
  const chosen = await bases(groups, products);
  requireBases(method, groups, chosen);
  return side === "keys" && beforeRope ? chosen.map((key) => ({ ...key, beforeRope })) : chosen;
}

const oneByOne =
  (basis: Method["basis"]): Required<Method>["bases"] =>
  async (groups, products) => {
    const bases: Basis[] = [];
    for (const group of groups) bases.push(await basis(group, products));
    return bases;
  };
