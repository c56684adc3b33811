import { formatBytes } from "@kvfold/runtime";
import { useSignal } from "@preact/signals";
import { WorkProgress } from "../maker/work-progress.js";
import { workState } from "../maker/work-state.js";
import { chosenModel } from "../models/chosen-model.js";
import { foldSettings, KEEPS, METHODS, WINDOWS } from "../settings/fold-settings.js";
import { keepPrepared } from "../storage/kept-state.js";
import { TuneForm } from "../tune/tune-form.js";
import { formatShare } from "../ui/format.js";
import { choicesOf, plainChoices, Select } from "../ui/select.js";
import { downloadFolder } from "./download.js";
import { type FoldMethod, foldChosen, foldedModels, type PreparedModel } from "./fold-state.js";

/** Chooses the cache size, folds with progress by block, and offers the result for download. */
export function FoldView() {
  const { keep, method, windows } = foldSettings;
  const text = useSignal("");
  const model = chosenModel.value;
  const running = workState.value.kind === "running";
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
            <Select
              label="Cache to keep"
              choices={plainChoices(KEEPS)}
              value={keep.value}
              onChoose={(value) => (keep.value = value)}
            />
            <Select
              label="Method"
              choices={choicesOf<FoldMethod>(METHODS)}
              value={method.value}
              onChoose={(value) => (method.value = value)}
            />
            <Select
              label="Calibration windows"
              choices={plainChoices(WINDOWS)}
              value={`${windows.value}`}
              onChoose={(value) => (windows.value = Number(value))}
            />
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
      <WorkProgress />
      <ul class="results">
        {foldedModels.value.map((prepared) => (
          <FoldedItem key={prepared.label} {...prepared} />
        ))}
      </ul>
      <TuneForm text={text.value} />
    </section>
  );
}

function FoldedItem(prepared: PreparedModel) {
  const { folder, label, result, identity } = prepared;
  const { achieved, cacheBytesPerToken } = result.plan;
  const { before, after } = cacheBytesPerToken;
  return (
    <li>
      <span>
        <strong>{label}</strong>: {formatBytes(after)} of cache per token instead of {formatBytes(before)} (
        {formatShare(achieved)})
      </span>{" "}
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
const fileNameOf = (title: string): string => title.replaceAll("/", "-").replaceAll(", ", "-");
