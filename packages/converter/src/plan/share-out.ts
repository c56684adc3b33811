import { numbersPerToken } from "./cache-size.js";
import type { LayerPlan } from "./fold-plan.js";
import { greatestDivisor } from "./greatest-divisor.js";

/**
 * Moves ranks between the sides of a layer until its keys take `keyShare` of its numbers, or as near to it as steps of
 * eight numbers of a head come (of two, or one, where its ranks are not multiples). The layer's total stays, no rank
 * falls to zero and none exceeds its heads of `headDim`.
 */
export function shareOut(layer: LayerPlan, keyShare: number, headDim: number): LayerPlan {
  const { keys, values } = layer;
  const shared = greatestDivisor(keys.heads, values.heads);
  const multiple = STEPS.find((step) => keys.rank % step === 0 && values.rank % step === 0)!;
  // What a head of each side gives or gets at a step.
  const [keyStep, valueStep] = [(multiple * values.heads) / shared, (multiple * keys.heads) / shared];
  const wanted = (keys.rank - (keyShare * numbersPerToken(layer)) / keys.heads) / keyStep;
  const most = Math.min(
    Math.ceil(keys.rank / keyStep) - 1,
    Math.floor((values.span * headDim - values.rank) / valueStep),
  );
  const least = -Math.min(
    Math.ceil(values.rank / valueStep) - 1,
    Math.floor((keys.span * headDim - keys.rank) / keyStep),
  );
  const steps = Math.max(least, Math.min(most, Math.round(wanted)));
  return {
    keys: { ...keys, rank: keys.rank - steps * keyStep },
    values: { ...values, rank: values.rank + steps * valueStep },
  };
}

const STEPS = [8, 2, 1];
