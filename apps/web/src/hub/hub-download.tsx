import { HubNameForm } from "./hub-name-form.js";
import { cancelDownload, chooseFromHub, downloadState } from "./hub-state.js";

/** Loads a model from the Hub, with progress and a way to stop. */
export function HubDownload() {
  const state = downloadState.value;
  return (
    <>
      <HubNameForm
        action="Load from the Hub"
        disabled={state.kind === "running"}
        onName={(name) => void chooseFromHub(name)}
      />
      {state.kind === "running" && (
        <div class="row">
          <progress aria-label="Loading the model" max={1} value={state.share} />
          <span role="status">{state.label}</span>
          <button type="button" onClick={cancelDownload}>
            Cancel loading
          </button>
        </div>
      )}
      {state.kind === "failed" && (
        <p role="alert" class="problem">
          {state.message}
        </p>
      )}
    </>
  );
}
