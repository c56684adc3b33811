import { useSignal } from "@preact/signals";
import { foldedModels } from "../fold/fold-state.js";
import { workState } from "../maker/work-state.js";
import { foldSettings, TUNING_STEPS } from "../settings/fold-settings.js";
import { plainChoices, Select } from "../ui/select.js";
import { canTune, tuneFolded } from "./tune-state.js";

/** Tunes a fold of the model of the page, on the text that folds are calibrated on. */
export function TuneForm({ text }: { readonly text: string }) {
  const chosen = useSignal<string | undefined>(undefined);
  const folds = foldedModels.value.filter(canTune);
  const fold = folds.find(({ label }) => label === chosen.value) ?? folds.at(-1);
  if (fold === undefined) return null;
  const { steps } = foldSettings;
  const start = (event: Event) => {
    event.preventDefault();
    void tuneFolded(fold, { steps: steps.value, text });
  };
  return (
    <form onSubmit={start}>
      <fieldset disabled={workState.value.kind === "running"}>
        <div class="row">
          <Select
            label="Fold to tune"
            choices={plainChoices(folds.map(({ label }) => label))}
            value={fold.label}
            onChoose={(label) => (chosen.value = label)}
          />
          <Select
            label="Tuning steps"
            choices={plainChoices(TUNING_STEPS)}
            value={`${steps.value}`}
            onChoose={(value) => (steps.value = Number(value))}
          />
          <button type="submit">Tune</button>
        </div>
        <p class="hint">
          Small additions to the weights of a fold learn to predict what the original predicts. It takes a
          minute or two; the cache stays as small as it is.
        </p>
      </fieldset>
    </form>
  );
}
