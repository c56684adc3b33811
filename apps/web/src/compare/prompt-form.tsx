import type { Signal } from "@preact/signals";
import type { PreparedModel } from "../fold/fold-state.js";
import { comparison, stopBoth } from "./comparison.js";
import { modelsBusy } from "./loaded-models.js";

/** The models to compare. */
export interface Both {
  readonly original: PreparedModel;
  readonly folded: PreparedModel;
}

interface Props {
  /** Nothing can be done without them. */
  readonly both: Both | undefined;
  readonly label: string;
  readonly text: Signal<string>;
  readonly submit: Action;
  readonly other: Action;
}

/** A button. */
interface Action {
  readonly name: string;
  readonly title?: string;
  readonly act: (both: Both) => void;
}

/** A text for both models, and two things to do with it. */
export function PromptForm({ both, label, text, submit, other }: Props) {
  const disabled = both === undefined || modelsBusy.value;
  const onSubmit = (event: Event) => {
    event.preventDefault();
    if (both) submit.act(both);
  };
  return (
    <form onSubmit={onSubmit}>
      <label>
        {label}
        <textarea
          rows={2}
          value={text.value}
          onInput={({ currentTarget }) => {
            text.value = currentTarget.value;
          }}
        />
      </label>
      <div class="row">
        <button type="submit" disabled={disabled} title={submit.title}>
          {submit.name}
        </button>
        <button type="button" disabled={disabled} title={other.title} onClick={() => both && other.act(both)}>
          {other.name}
        </button>
        <button type="button" disabled={!comparison.busy.value} onClick={stopBoth}>
          Stop
        </button>
      </div>
    </form>
  );
}
