import type { ModelShape } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import type { Method } from "../methods/method.js";
import { numbersPerToken } from "../plan/cache-size.js";
import type { FoldPlan, LayerPlan, SidePlan } from "../plan/fold-plan.js";

/**
 * Rejects layers that do not suit the plan that a budget started from; budgets come from elsewhere too.
 *
 * @throws {ConverterError} `invalid-option` for another number of layers, other spans, ranks that a span cannot hold or the
 * method cannot make, and more numbers per token than the plan has.
 */
export function requireAllocation(allocation: Allocation, { headDim }: ModelShape): void {
  const { plan } = allocation;
  const problem = findProblem(allocation, headDim);
  if (problem === undefined) return;
  throw new ConverterError("invalid-option", `budget ${plan.budget}: ${problem}`, { option: "budget" });
}

/** What a budget made of a plan. */
interface Allocation {
  readonly plan: FoldPlan;
  readonly method: Method;
  readonly layers: readonly LayerPlan[];
}

function findProblem({ plan, method, layers }: Allocation, headDim: number): string | undefined {
  if (layers.length !== plan.layers.length)
    return `expected ${plan.layers.length} layers, found ${layers.length}`;
  for (const [index, layer] of layers.entries()) {
    for (const side of ["keys", "values"] as const) {
      const problem = misfit(plan.layers[index]![side], layer[side], { method, headDim });
      if (problem !== undefined) return `layer ${index}, ${side}: ${problem}`;
    }
  }
  const sum = (all: readonly LayerPlan[]) => all.reduce((total, layer) => total + numbersPerToken(layer), 0);
  const [most, found] = [sum(plan.layers), sum(layers)];
  return found > most ? `expected ${most} numbers per token at most, found ${found}` : undefined;
}

function misfit(
  planned: SidePlan,
  { span, heads, rank }: SidePlan,
  { method, headDim }: { readonly method: Method; readonly headDim: number },
): string | undefined {
  if (span !== planned.span || heads !== planned.heads)
    return `expected ${planned.heads} heads of span ${planned.span}, found ${heads} of span ${span}`;
  const most = span * headDim;
  if (!Number.isInteger(rank) || rank < 1 || rank > most)
    return `expected a rank of 1 to ${most}, found ${rank}`;
  if (method.allowsRank?.({ span, rank }, headDim) === false)
    return `method ${method.name} does not allow rank ${rank}`;
  return undefined;
}
