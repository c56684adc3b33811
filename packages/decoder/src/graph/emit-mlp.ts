import type { Activation } from "../families/family.js";
import type { MlpWeights } from "../model/decoder-weights.js";
import { emitLinear } from "./emit-linear.js";
import { type Emitter, MICROSOFT } from "./emitter.js";

/** `down(act(gate(x)) * up(x))` where there is a gate, else `down(act(up(x)))`. */
export function emitMlp(e: Emitter, x: string, mlp: MlpWeights, activation: Activation): string {
  return emitLinear(e, "down_proj", emitMlpActivations(e, x, mlp, activation), mlp.down);
}

/** What the last projection of an MLP reads, `[B, S, I]`. */
export function emitMlpActivations(e: Emitter, x: string, mlp: MlpWeights, activation: Activation): string {
  const up = emitLinear(e, "up_proj", x, mlp.up);
  if (mlp.gate === undefined) return emitActivation(e, up, activation);
  const gate = emitLinear(e, "gate_proj", x, mlp.gate);
  return e.node("Mul", "Mul", [emitActivation(e, gate, activation), up]);
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
