import type { MatrixProducts } from "@kvfold/linalg";
import { ConverterError } from "../converter-error.js";
import { findMethod } from "../methods/index.js";
import type { Method } from "../methods/method.js";
import { chunksOfLayer } from "./chunks-of-pairs.js";
import type { FoldLayerInput } from "./fold-layer.js";
import { jointGroupsOf } from "./joint-groups.js";
import { oneByOne } from "./one-by-one.js";

/**
 * What each further number of a group's latents saves in the squared error of the layer's output, for each group of the
 * layer, descending: `Method.savings`.
 *
 * @throws {ConverterError} `invalid-option` when the method cannot say.
 */
export async function layerSavings(
  { method: name, plan, ...context }: FoldLayerInput,
  products: MatrixProducts,
  methods: readonly Method[] = [],
): Promise<readonly Float64Array[]> {
  const { savings } = requireSavings(findMethod(name, methods));
  const groups = jointGroupsOf(plan, context, chunksOfLayer(context));
  return oneByOne(groups, (group) => savings(group, products));
}

/** The method, if it can compare layers. */
export function requireSavings(method: Method): Required<Pick<Method, "savings">> {
  const { name, savings } = method;
  if (savings !== undefined) return { savings };
  throw new ConverterError(
    "invalid-option",
    `method ${name} cannot compare its layers (it has no savings); use another budget, such as knapsack`,
    { option: "budget" },
  );
}

/** What the savings of one group of a layer's heads take. */
export interface GroupSavingsInput extends FoldLayerInput {
  readonly index: number;
}

/** The same for one group of the layer. */
export function groupSavings(
  { method: name, plan, index, ...context }: GroupSavingsInput,
  products: MatrixProducts,
  methods: readonly Method[] = [],
): Promise<Float64Array> {
  const { savings } = requireSavings(findMethod(name, methods));
  return savings(jointGroupsOf(plan, context, chunksOfLayer(context))[index]!, products);
}
