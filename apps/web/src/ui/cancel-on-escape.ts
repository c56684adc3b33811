import { stopBoth } from "../compare/comparison.js";
import { endWork } from "../maker/work-state.js";

/** Escape ends what is at work, wherever the focus is. */
export function cancelOnEscape(): void {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    endWork();
    stopBoth();
  });
}
