import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { PreparedModel } from "../fold/fold-state.js";
import { validationText } from "../models/embedded-model.js";
import { readTokenizer, tokenizeDocument } from "../models/text-tokenizer.js";
import { addQualityPoint } from "../pictures/quality-points.js";
import { messageOf } from "../ui/format.js";
import { loadedModel } from "./loaded-models.js";

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
  const outcome = useSignal("");
  const busy = useSignal(false);
  useEffect(() => void validationText(SAMPLE_CHARACTERS).then((sample) => (text.value ||= sample)), [text]);
  const measure = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    outcome.value = "measuring";
    try {
      outcome.value = await measureBoth(original, folded, text.value);
    } catch (error) {
      outcome.value = messageOf(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <form onSubmit={(event) => void measure(event)}>
      <label>
        Perplexity on a text
        <textarea rows={4} value={text.value} onInput={({ currentTarget }) => (text.value = currentTarget.value)} />
      </label>
      <div class="row">
        <button type="submit" disabled={busy.value}>
          Measure both
        </button>
        <span role="status">{outcome.value}</span>
      </div>
    </form>
  );
}

async function measureBoth(original: PreparedModel, folded: PreparedModel, text: string): Promise<string> {
  const tokens = tokenizeDocument(await readTokenizer(original.result.files), text, MAX_TOKENS);
  if (tokens.length < 2) return "paste a sentence or more";
  const before = await (await loadedModel(original)).perplexity(tokens);
  const after = await (await loadedModel(folded)).perplexity(tokens);
  addQualityPoint({ keep: folded.keep, bytes: folded.result.plan.cacheBytesPerToken.after, ratio: after / before });
  return `original ${before.toFixed(2)}, folded to ${folded.keep} ${after.toFixed(2)} (${(after / before).toFixed(3)} times), on ${tokens.length} tokens`;
}
