import { chosenModel } from "../models/chosen-model.js";
import { type Ending, endWork, workState } from "./work-state.js";

/** What the button is called that ends a work. */
const ENDINGS: Readonly<Record<Ending, string>> = { cancel: "Cancel", enough: "Stop and keep the best" };

/** What the page is making, how far it is, and the button that ends it. */
export function WorkProgress() {
  const state = workState.value;
  if (state.kind === "failed")
    return (
      <p role="alert" class="problem">
        {state.message}
      </p>
    );
  // One status for all states: screen readers speak changes of what is there, and not what comes anew.
  return (
    <div class="row progress">
      {state.kind === "running" && <progress aria-label="Progress" max={1} value={state.share} />}
      <span role="status">
        {state.kind === "idle" && chosenModel.value === undefined && "Choose a model first."}
        {state.kind === "running" && state.label}
        {state.kind === "done" && state.message}
      </span>
      {state.kind === "running" && (
        <button type="button" onClick={endWork}>
          {ENDINGS[state.ending]}
        </button>
      )}
    </div>
  );
}
