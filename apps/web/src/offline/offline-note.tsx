import { formatBytes } from "@kvfold/runtime";
import { newVersion, type OfflineState, offlineState } from "./offline-state.js";
import { keepForOffline, useNewVersion } from "./start-offline.js";

/** Says whether the page works without a network, and offers what has to be asked for. */
export function OfflineNote() {
  const state = offlineState.value;
  return (
    <div class="offline">
      <span role="status">{describe(state)}</span>
      {(state.kind === "page" || state.kind === "failed") && (
        <button type="button" onClick={keepForOffline}>
          Keep for use offline
        </button>
      )}
      {newVersion.value && (
        <button type="button" onClick={useNewVersion}>
          Load the new version of this page
        </button>
      )}
    </div>
  );
}

function describe(state: OfflineState): string {
  switch (state.kind) {
    case "none":
      return "";
    case "page":
      return "Your connection saves data: the model and its runtime are not kept yet.";
    case "keeping":
      return `Keeping ${formatBytes(state.total)} for use offline …`;
    case "kept":
      return `Works offline: ${formatBytes(state.bytes)} are kept in this browser.`;
    case "failed":
      return `Not kept for use offline: ${state.message}`;
  }
}
