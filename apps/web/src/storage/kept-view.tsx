import { formatBytes } from "@kvfold/runtime";
import { useEffect } from "preact/hooks";
import { deleteKept, isChoice, keptFolders, keptNote, nameOf, openKept, refreshKept } from "./kept-state.js";

/** What the browser keeps for this page: open it again, or delete it. */
export function KeptView() {
  useEffect(() => void refreshKept(), []);
  const shown = keptFolders.value.filter(isChoice);
  const total = keptFolders.value.reduce((sum, { bytes }) => sum + bytes, 0);
  return (
    <>
      {shown.length > 0 && (
        <details open>
          <summary>Kept in this browser: {formatBytes(total)}, originals of folds included</summary>
          <ul class="results">
            {shown.map((kept) => (
              <li key={kept.id}>
                <strong>{nameOf(kept)}</strong>, {formatBytes(kept.bytes)}{" "}
                {kept.record.kind !== "incomplete" && (
                  <button
                    type="button"
                    aria-label={`Open ${nameOf(kept)}`}
                    onClick={() => void openKept(kept)}
                  >
                    Open
                  </button>
                )}{" "}
                <button
                  type="button"
                  aria-label={`Delete ${nameOf(kept)}`}
                  onClick={() => void deleteKept(kept)}
                >
                  Delete
                </button>
              </li>
            ))}
          </ul>
        </details>
      )}
      <p role="status" class="hint">
        {keptNote.value}
      </p>
    </>
  );
}
