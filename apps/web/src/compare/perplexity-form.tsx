import { useSignal } from "@preact/signals";
import { Fragment } from "preact";
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
  const outcomes = useSignal<readonly Outcome[]>([]);
  const note = useSignal("");
  useEffect(() => void validationText(SAMPLE_CHARACTERS).then((sample) => (text.value ||= sample)), [text]);
  const measure = async (folds: readonly PreparedModel[]) => {
    outcomes.value = [];
    note.value = "measuring";
    try {
      outcomes.value = await occupyModels(() => measureFolds(original, folds, text.value));
      note.value = outcomes.value.length === 0 ? "paste a sentence or more" : "";
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
          <OutcomeLine outcomes={outcomes.value} />
        </span>
      </div>
    </form>
  );
}

/** Perplexity of a fold, and of the original before. */
interface Outcome {
  readonly label: string;
  readonly tokens: number;
  readonly before: number;
  readonly after: number;
}

function OutcomeLine({ outcomes }: { readonly outcomes: readonly Outcome[] }) {
  const [first] = outcomes;
  if (first === undefined) return null;
  return (
    <>
      original <data value={first.before}>{first.before.toFixed(2)}</data>,
      {outcomes.map(({ label, before, after }) => (
        <Fragment key={label}>
          {" "}
          folded to {label} <data value={after}>{after.toFixed(2)}</data> ({(after / before).toFixed(3)}{" "}
          times),
        </Fragment>
      ))}{" "}
      on {first.tokens} tokens
    </>
  );
}

/** Each fold is a point of the picture of quality. Without any outcome for a text that is too short. */
async function measureFolds(
  original: PreparedModel,
  folds: readonly PreparedModel[],
  text: string,
): Promise<readonly Outcome[]> {
  const tokens = documentTokens(await readTokenizer(original.result.files), text, MAX_TOKENS);
  if (tokens.length < 2) return [];
  const perplexityOf = async (model: PreparedModel) =>
    (await (await loadedModel(model)).perplexity([tokens])).perplexity;
  const before = await perplexityOf(original);
  const outcomes: Outcome[] = [];
  for (const fold of folds) {
    const after = await perplexityOf(fold);
    const { label, result } = fold;
    const { keep, cacheBytesPerToken } = result.plan;
    addQualityPoint({ label, keep, bytes: cacheBytesPerToken.after, ratio: after / before });
    outcomes.push({ label, tokens: tokens.length, before, after });
  }
  return outcomes;
}
