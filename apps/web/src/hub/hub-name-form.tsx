import { useId } from "preact/hooks";
import { hubName } from "./hub-state.js";

interface Props {
  /** What the button says. */
  readonly action: string;
  readonly disabled?: boolean;
  readonly onName: (name: string) => void;
}

/** A field for the name of a model on the Hub. All such fields hold the same name. */
export function HubNameForm({ action, disabled = false, onName }: Props) {
  const id = useId();
  const submit = (event: Event) => {
    event.preventDefault();
    onName(hubName.value.trim());
  };
  return (
    <form class="row" onSubmit={submit}>
      <label for={id}>Model on the Hugging Face Hub</label>
      <input
        id={id}
        type="text"
        required
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        placeholder="HuggingFaceTB/SmolLM2-135M-Instruct"
        value={hubName.value}
        onInput={({ currentTarget }) => {
          hubName.value = currentTarget.value;
        }}
      />
      <button type="submit" disabled={disabled}>
        {action}
      </button>
    </form>
  );
}
