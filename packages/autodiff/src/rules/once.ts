import type { EmitGradient } from "../gradient-rule.js";

/** Writes what several gradients of a node share when the first of them asks for it. */
export function once(emit: EmitGradient): EmitGradient {
  let name: string | undefined;
  return () => {
    name ??= emit();
    return name;
  };
}
