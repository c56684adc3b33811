import { useSignal } from "@preact/signals";
import type { PreparedModel } from "../fold/fold-state.js";
import { continueBoth, goOnBoth } from "./comparison.js";
import { modelsBusy } from "./loaded-models.js";
import { StopButton } from "./stop-button.js";

/** The models to compare. */
export interface Both {
  readonly original: PreparedModel;
  readonly folded: PreparedModel;
}

/** A beginning that both models go on with. */
export function ContinueForm({ both }: { readonly both: Both | undefined }) {
  const prompt = useSignal("It was a cold evening in November, and the fire had burned low when");
  const start = (event: Event) => {
    event.preventDefault();
    if (both) void continueBoth({ ...both, prompt: prompt.value });
  };
  const disabled = both === undefined || modelsBusy.value;
  return (
    <form onSubmit={start}>
      <label>
        Prompt
        <textarea
          rows={2}
          value={prompt.value}
          onInput={({ currentTarget }) => {
            prompt.value = currentTarget.value;
          }}
        />
      </label>
      <div class="row">
        <button type="submit" disabled={disabled}>
          Continue both
        </button>
        <button
          type="button"
          disabled={disabled}
          title="Goes on where the texts ended, also before the page was loaded anew, without reading them again"
          onClick={() => both && void goOnBoth({ ...both, prompt: prompt.value })}
        >
          Go on
        </button>
        <StopButton />
      </div>
    </form>
  );
}
