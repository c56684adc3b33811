import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { foldedModels, type PreparedModel } from "../fold/fold-state.js";
import { validationText } from "../models/embedded-model.js";
import { documentTokens, readTokenizer } from "../models/text-tokenizer.js";
import { addQualityPoint } from "../pictures/quality-points.js";
import { messageOf } from "../ui/format.js";
import { loadedModel, modelsBusy, occupyModels } from "./loaded-models.js";

const MAX_TOKENS = 512;
/** Characters of the sample text: somewhat more than the tokens that are measured. */
const SAMPLE_CHARACTERS = 3000;

interface Props {
  readonly original: PreparedModel;
  readonly folded: PreparedModel;
}

/** Perplexity of both models on a text that the user pastes. */
export function PerplexityForm({ original, folded }: Props) {
  const text = useSignal("");
  const outcome = useSignal<Outcome | undefined>(undefined);
  const note = useSignal("");
  useEffect(() => void validationText(SAMPLE_CHARACTERS).then((sample) => (text.value ||= sample)), [text]);
  const measure = async (folds: readonly PreparedModel[]) => {
    outcome.value = undefined;
    note.value = "measuring";
    try {
      outcome.value = await occupyModels(() => measureFolds(original, folds, text.value));
      note.value = outcome.value === undefined ? "paste a sentence or more" : "";
    } catch (error) {
      note.value = messageOf(error);
    }
  };
  const measureChosen = (event: Event) => {
    event.preventDefault();
    void measure([folded]);
  };
  return (
    <form onSubmit={measureChosen}>
      <label>
        Perplexity on a text
        <textarea
          rows={4}
          value={text.value}
          onInput={({ currentTarget }) => (text.value = currentTarget.value)}
        />
      </label>
      <div class="row">
        <button type="submit" disabled={modelsBusy.value}>
          Measure both
        </button>
        {foldedModels.value.length > 1 && (
          <button type="button" disabled={modelsBusy.value} onClick={() => void measure(foldedModels.value)}>
            Measure all folds
          </button>
        )}
        <span role="status">
          {note.value}
          {outcome.value && <OutcomeLine {...outcome.value} />}
        </span>
      </div>
    </form>
  );
}

interface Outcome {
  readonly label: string;
  readonly tokens: number;
  readonly before: number;
  readonly after: number;
}

const OutcomeLine = ({ label, tokens, before, after }: Outcome) => (
  <>
    original <data value={before}>{before.toFixed(2)}</data>, folded to {label}{" "}
    <data value={after}>{after.toFixed(2)}</data> ({(after / before).toFixed(3)} times), on {tokens} tokens
  </>
);

/** Each fold is a point of the picture of quality; the last one's outcome comes back. */
async function measureFolds(
  original: PreparedModel,
  folds: readonly PreparedModel[],
  text: string,
): Promise<Outcome | undefined> {
  const tokens = documentTokens(await readTokenizer(original.result.files), text, MAX_TOKENS);
  if (tokens.length < 2) return undefined;
  const perplexityOf = async (model: PreparedModel) =>
    (await (await loadedModel(model)).perplexity([tokens])).perplexity;
  const before = await perplexityOf(original);
  let outcome: Outcome | undefined;
  for (const fold of folds) {
    const after = await perplexityOf(fold);
    const { label, result } = fold;
    const { keep, cacheBytesPerToken } = result.plan;
    addQualityPoint({ label, keep, bytes: cacheBytesPerToken.after, ratio: after / before });
    outcome = { label, tokens: tokens.length, before, after };
  }
  return outcome;
}
