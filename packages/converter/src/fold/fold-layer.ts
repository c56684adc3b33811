import type { AttentionWeights } from "@kvfold/decoder";
import type { MatrixProducts } from "@kvfold/linalg";
import { findMethod } from "../methods/index.js";
import type { Basis, JointBasis, Method } from "../methods/method.js";
import { none } from "../methods/none.js";
import type { Retained } from "../methods/retained.js";
import type { LayerPlan } from "../plan/fold-plan.js";
import { type ChosenBases, chooseBases, chooseGroup, type GroupOfHeads, retainedBy } from "./choose-bases.js";
import { foldAttention } from "./fold-attention.js";
import type { LayerContext } from "./group.js";

/** What folding an attention layer takes. */
export interface FoldLayerInput extends LayerContext {
  readonly method: string;
  readonly plan: LayerPlan;
  /** Bases that {@link groupBasis} chose for this layer before. */
  readonly chosen?: ChosenBases;
}

/** What choosing the basis of one group of heads takes. */
export interface GroupBasisInput extends FoldLayerInput {
  readonly group: GroupOfHeads;
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
  { method: name, plan, chosen, ...context }: FoldLayerInput,
  products: MatrixProducts,
  methods: readonly Method[] = [],
): Promise<FoldedLayer> {
  const { attention } = context;
  const method = findMethod(name, methods);
  if (method === none) return { attention, retained: { keys: [], values: [] } };
  const bases = await chooseBases(method, plan, context, products, chosen);
  return { attention: foldAttention(attention, bases), retained: retainedBy(bases) };
}

/** The basis of one group of heads, as `foldLayer` chooses it: several threads can choose those of a layer. */
export const groupBasis = (
  { method, plan, group, ...context }: GroupBasisInput,
  products: MatrixProducts,
  methods: readonly Method[] = [],
): Promise<Basis | JointBasis> => chooseGroup(group, findMethod(method, methods), plan, context, products);
