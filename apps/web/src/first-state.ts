import { type FitState, fitState } from "./fit/fit-state.js";

/** The element that the build writes the state of its rendering into. */
export const FIRST_STATE_ID = "first-state";

/** Takes the state that the page was rendered with; the development server renders none. */
export function takeFirstState(): void {
  const written = document.getElementById(FIRST_STATE_ID)?.textContent;
  if (written) fitState.value = JSON.parse(written) as FitState;
}
