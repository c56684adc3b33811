import { formatBytes } from "@kvfold/runtime";
import { useSignal } from "@preact/signals";
import { chosenModel } from "../models/chosen-model.js";
import { keepPrepared } from "../storage/kept-state.js";
import { formatShare } from "../ui/format.js";
import { downloadFolder } from "./download.js";
import {
  cancelFold,
  type FoldMethod,
  foldChosen,
  foldedModels,
  foldState,
  type PreparedModel,
} from "./fold-state.js";

const KEEPS = ["1/2", "1/4", "1/8"];
const METHODS: Readonly<Record<FoldMethod, string>> = {
  anchored: "anchored: loses least",
  latent: "latent: decodes fastest",
};
const WINDOWS = [4, 8, 16, 32];

/** Chooses the cache size, folds with progress by block, and offers the result for download. */
export function FoldView() {
  const keep = useSignal("1/4");
  const method = useSignal<FoldMethod>("anchored");
  const windows = useSignal(8);
  const text = useSignal("");
  const model = chosenModel.value;
  const running = foldState.value.kind === "running";
  const start = (event: Event) => {
    event.preventDefault();
    const choice = { keep: keep.value, method: method.value, windows: windows.value, text: text.value };
    if (model) void foldChosen(model, choice);
  };
  return (
    <section aria-labelledby="fold-title">
      <h2 id="fold-title">2. Fold it in this tab</h2>
      <form onSubmit={start}>
        <fieldset disabled={running || model === undefined}>
          <div class="row">
            <label>
              Cache to keep{" "}
              <select value={keep.value} onChange={({ currentTarget }) => (keep.value = currentTarget.value)}>
                {KEEPS.map((value) => (
                  <option key={value}>{value}</option>
                ))}
              </select>
            </label>
            <label>
              Method{" "}
              <select
                value={method.value}
                onChange={({ currentTarget }) => (method.value = currentTarget.value as FoldMethod)}
              >
                {Object.entries(METHODS).map(([name, label]) => (
                  <option key={name} value={name}>
                    {label}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Calibration windows{" "}
              <select
                value={windows.value}
                onChange={({ currentTarget }) => (windows.value = Number(currentTarget.value))}
              >
                {WINDOWS.map((value) => (
                  <option key={value}>{value}</option>
                ))}
              </select>
            </label>
            <button type="submit">Fold</button>
          </div>
          <details>
            <summary>Calibrate on a text of your own</summary>
            <textarea
              aria-label="Calibration text"
              rows={4}
              placeholder="Text like that which the model will read. Empty: a book that comes with the page."
              value={text.value}
              onInput={({ currentTarget }) => (text.value = currentTarget.value)}
            />
          </details>
        </fieldset>
      </form>
      <FoldProgressBar />
      <ul class="results">
        {foldedModels.value.map((prepared) => (
          <FoldedItem key={prepared.label} {...prepared} />
        ))}
      </ul>
    </section>
  );
}

function FoldProgressBar() {
  const state = foldState.value;
  if (state.kind === "failed")
    return (
      <p role="alert" class="problem">
        {state.message}
      </p>
    );
  if (state.kind === "done")
    return (
      <p role="status">
        Folded to {state.label} in {state.seconds.toFixed(1)} s.
      </p>
    );
  if (state.kind === "idle") return <p role="status" />;
  return (
    <div class="row">
      <progress aria-label="Folding" max={1} value={state.share} />
      <span role="status">{state.label}</span>
      <button type="button" onClick={cancelFold}>
        Cancel
      </button>
    </div>
  );
}

function FoldedItem(prepared: PreparedModel) {
  const { folder, label, result, identity } = prepared;
  const { achieved, cacheBytesPerToken } = result.plan;
  const { before, after } = cacheBytesPerToken;
  return (
    <li>
      <strong>{label}</strong>: {formatBytes(after)} of cache per token instead of {formatBytes(before)} (
      {formatShare(achieved)}){" "}
      <button
        type="button"
        onClick={() => void downloadFolder(fileNameOf(`${folder.name}-${label}`), result.files)}
      >
        Download for transformers.js
      </button>{" "}
      {identity === undefined && (
        <button type="button" onClick={() => void keepPrepared(prepared)}>
          Keep in this browser
        </button>
      )}
    </li>
  );
}

/** `owner/name-1/4, latent` to `owner-name-1-4-latent`. */
const fileNameOf = (title: string): string => title.replaceAll("/", "-").replace(", ", "-");
