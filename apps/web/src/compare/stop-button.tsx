import { comparison, stopBoth } from "./comparison.js";

/** Ends what the models are writing. */
export const StopButton = () => (
  <button type="button" disabled={!comparison.busy.value} onClick={stopBoth}>
    Stop
  </button>
);
