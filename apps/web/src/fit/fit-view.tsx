import type { Dtype } from "@kvfold/decoder";
import { useEffect } from "preact/hooks";
import { HubNameForm } from "../hub/hub-name-form.js";
import { chosenModel } from "../models/chosen-model.js";
import { choicesOf, Select } from "../ui/select.js";
import { fitAgain, fitEmbedded, fitFolder, fitForm, fitHubModel, fitState } from "./fit-state.js";
import { FitTable } from "./fit-table.js";

const ASKED = choicesOf({ memory: "memory", context: "a long text" });
const DTYPES = choicesOf<Dtype>({ fp32: "float32", fp16: "float16", q4: "four bits" });

/** What fits into memory: of the chosen model, or of any on the Hub, of which the config alone is read. */
export function FitView() {
  const model = chosenModel.value;
  useEffect(() => void (model === undefined ? fitEmbedded() : fitFolder(model)), [model]);
  return (
    <section aria-labelledby="fit-title">
      <h2 id="fit-title">What fits?</h2>
      <HubNameForm action="Show what fits" onName={(name) => void fitHubModel(name)} />
      <FitForm />
      <FitAnswer />
    </section>
  );
}

function FitForm() {
  const { asks, gibibytes, tokens, dtype } = fitForm;
  const isMemory = asks.value === "memory";
  const set = (change: () => void) => {
    change();
    void fitAgain();
  };
  return (
    <form class="row" onSubmit={(event) => event.preventDefault()}>
      <Select
        label="I have"
        choices={ASKED}
        value={asks.value}
        onChoose={(value) =>
          set(() => {
            asks.value = value;
          })
        }
      />
      <label>
        {isMemory ? "Memory in GiB" : "Tokens of context"}{" "}
        <input
          type="number"
          inputMode="decimal"
          required
          min={isMemory ? 0.25 : 1}
          step={isMemory ? 0.25 : 1}
          value={isMemory ? gibibytes.value : tokens.value}
          onInput={({ currentTarget }) => {
            const field = isMemory ? gibibytes : tokens;
            if (currentTarget.validity.valid)
              set(() => {
                field.value = currentTarget.valueAsNumber;
              });
          }}
        />
      </label>
      <Select<Dtype>
        label="Weights in"
        choices={DTYPES}
        value={dtype.value}
        onChoose={(value) =>
          set(() => {
            dtype.value = value;
          })
        }
      />
    </form>
  );
}

function FitAnswer() {
  const state = fitState.value;
  if (state.kind === "failed")
    return (
      <p role="alert" class="problem">
        {state.message}
      </p>
    );
  if (state.kind === "calculating") return <p role="status">Calculating …</p>;
  return <FitTable {...state} />;
}
