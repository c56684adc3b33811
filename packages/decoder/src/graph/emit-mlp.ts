import type { Activation } from "../model/block-spec.js";
import type { MlpWeights } from "../model/decoder-weights.js";
import { emitLinear } from "./emit-linear.js";
import { type Emitter, MICROSOFT } from "./emitter.js";

/** `down(act(gate(x)) * up(x))` where there is a gate, else `down(act(up(x)))`. */
export function emitMlp(e: Emitter, x: string, mlp: MlpWeights): string {
  return emitLinear(e, "down_proj", emitMlpActivations(e, x, mlp), mlp.down);
}

/** What the last projection of an MLP reads, `[B, S, I]`. */
export function emitMlpActivations(e: Emitter, x: string, { activation, gate, up }: MlpWeights): string {
  const raised = emitLinear(e, "up_proj", x, up);
  if (gate === undefined) return emitActivation(e, raised, activation);
  const gated = emitActivation(e, emitLinear(e, "gate_proj", x, gate), activation);
  return e.node("Mul", "Mul", [gated, raised]);
}

function emitActivation(e: Emitter, x: string, activation: Activation): string {
  switch (activation) {
    case "silu":
      return e.node("Mul", "act/Mul", [x, e.node("Sigmoid", "act/Sigmoid", [x])]);
    case "gelu_pytorch_tanh":
      return e.node("FastGelu", "act/FastGelu", [x], { domain: MICROSOFT });
    case "gelu":
      return e.node("Gelu", "act/Gelu", [x], { domain: MICROSOFT });
    case "relu":
      return e.node("Relu", "act/Relu", [x]);
    case "relu2": {
      const positive = e.node("Relu", "act/Relu", [x]);
      return e.node("Mul", "act/Mul", [positive, positive]);
    }
  }
}
