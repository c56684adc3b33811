import type { Activation } from "../families/family.js";
import type { MlpWeights } from "../model/decoder-weights.js";
import { emitLinear } from "./emit-linear.js";
import { type Emitter, MICROSOFT } from "./emitter.js";

/** The feed-forward half of a block, and the activations `[B, S, I]` that its last projection reads. */
export interface MlpValues {
  readonly activations: string;
  readonly output: string;
}

/** `down(act(gate(x)) * up(x))` where there is a gate, else `down(act(up(x)))`. */
export function emitMlp(e: Emitter, x: string, mlp: MlpWeights, activation: Activation): MlpValues {
  const up = emitLinear(e, "up_proj", x, mlp.up);
  const activations =
    mlp.gate === undefined
      ? emitActivation(e, up, activation)
      : e.node("Mul", "Mul", [emitActivation(e, emitLinear(e, "gate_proj", x, mlp.gate), activation), up]);
  return { activations, output: emitLinear(e, "down_proj", activations, mlp.down) };
}

function emitActivation(e: Emitter, x: string, activation: Activation): string {
  switch (activation) {
    case "silu":
      return e.node("Mul", "act/Mul", [x, e.node("Sigmoid", "act/Sigmoid", [x])]);
    case "gelu_pytorch_tanh":
      return e.node("FastGelu", "act/FastGelu", [x], { domain: MICROSOFT });
    case "gelu":
      return e.node("Gelu", "act/Gelu", [x], { domain: MICROSOFT });
  }
}
