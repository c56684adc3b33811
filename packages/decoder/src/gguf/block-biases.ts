import type { MlpSource, ProjectionSource } from "../model/block-spec.js";

/** Whether queries, keys and values have biases. */
export function projectionBiases(projections: ProjectionSource): readonly [boolean, boolean, boolean] {
  if (projections.layout !== "split") {
    const { bias } = projections.fused;
    return [bias, bias, bias];
  }
  return [projections.query.bias, projections.key.bias, projections.value.bias];
}

/** Whether gate and up have biases; plain units have no gate. */
export function mlpInputBiases({ input }: MlpSource): readonly [gate: boolean, up: boolean] {
  switch (input.layout) {
    case "plain":
      return [false, input.up.bias];
    case "gated":
      return [input.gate.bias, input.up.bias];
    case "fused-gated":
      return [input.fused.bias, input.fused.bias];
  }
}

export const hasBias = (mlp: MlpSource): boolean => mlp.down.bias || mlpInputBiases(mlp).some(Boolean);
