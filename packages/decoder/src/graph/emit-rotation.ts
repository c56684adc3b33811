import { type Emitter, MICROSOFT } from "./emitter.js";
import type { Positions } from "./positions.js";

/**
 * Rotates rows `[B, S, heads * d]` or heads `[B, heads, S, d]` by their positions, half-split layout; leaves them alone
 * where positions come in another way. `slots` are the frequencies of a layer that has an order of its own.
 */
export function emitRotation(
  e: Emitter,
  x: string,
  { rope, positionIds }: Pick<Positions, "rope" | "positionIds">,
  slots?: readonly number[],
): string {
  if (rope === undefined) return x;
  const table = (which: "cos" | "sin") =>
    slots === undefined
      ? rope[which]
      : e.node("Gather", `${which}/Gather`, [rope[which], e.graph.int64(slots)], {
          attributes: { axis: 1 },
        });
  return e.node("RotaryEmbedding", "RotaryEmbedding", [x, positionIds!, table("cos"), table("sin")], {
    domain: MICROSOFT,
  });
}
