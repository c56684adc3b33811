import { formatBytes } from "@kvfold/runtime";
import { useSignal } from "@preact/signals";
import { foldedModels, originalModel } from "../fold/fold-state.js";
import { chosenModel } from "../models/chosen-model.js";
import { formatShare } from "../ui/format.js";
import { agreementOf } from "./agreement.js";
import { comparison, continueBoth, goOnBoth, stopBoth } from "./comparison.js";
import type { Continuation } from "./continuation.js";
import { modelsBusy } from "./loaded-models.js";
import { PerplexityForm } from "./perplexity-form.js";
import { ProviderSelect } from "./provider-select.js";

/** Original and folded side by side: both go on with a prompt. */
export function CompareView() {
  const prompt = useSignal("It was a cold evening in November, and the fire had burned low when");
  const chosen = useSignal<string | undefined>(undefined);
  const folded = foldedModels.value.find(({ label }) => label === chosen.value) ?? foldedModels.value.at(-1);
  const original = originalModel.value;
  const ready = original !== undefined && folded !== undefined && chosenModel.value !== undefined;
  const start = (event: Event) => {
    event.preventDefault();
    if (ready) void continueBoth({ original, folded, prompt: prompt.value });
  };
  return (
    <section aria-labelledby="compare-title">
      <h2 id="compare-title">3. Compare</h2>
      <form onSubmit={start}>
        <label>
          Prompt
          <textarea
            rows={2}
            value={prompt.value}
            onInput={({ currentTarget }) => (prompt.value = currentTarget.value)}
          />
        </label>
        <div class="row">
          <label>
            Folded to{" "}
            <select
              disabled={!ready}
              value={folded?.label ?? ""}
              onChange={({ currentTarget }) => (chosen.value = currentTarget.value)}
            >
              {foldedModels.value.map(({ label }) => (
                <option key={label}>{label}</option>
              ))}
            </select>
          </label>
          <ProviderSelect />
          <button type="submit" disabled={!ready || modelsBusy.value}>
            Continue both
          </button>
          <button
            type="button"
            disabled={!ready || modelsBusy.value}
            title="Goes on where the texts ended, also before the page was loaded anew, without reading them again"
            onClick={() => ready && void goOnBoth({ original, folded, prompt: prompt.value })}
          >
            Go on
          </button>
          <button type="button" disabled={!comparison.busy.value} onClick={stopBoth}>
            Stop
          </button>
        </div>
      </form>
      {!ready && <p class="hint">Fold a model first.</p>}
      <div class="columns">
        <Column title="Original" text={comparison.original.value} bytes={comparison.originalBytes.value} />
        <Column
          title={`Folded to ${folded?.label ?? "…"}`}
          text={comparison.folded.value}
          bytes={comparison.foldedBytes.value}
        />
      </div>
      <AgreementLine />
      <p role="status" class="hint">
        {comparison.status.value}
      </p>
      {ready && <PerplexityForm original={original} folded={folded} />}
    </section>
  );
}

interface ColumnProps {
  readonly title: string;
  readonly text: Continuation;
  /** Cache bytes per token. */
  readonly bytes: number | undefined;
}

function Column({ title, text, bytes }: ColumnProps) {
  return (
    <article aria-label={title}>
      <h3>{title}</h3>
      <p class="continuation" aria-live="polite" aria-busy={comparison.busy.value}>
        {text.text || "…"}
      </p>
      <dl>
        <dt>speed</dt>
        <dd>{text.tokensPerSecond === undefined ? "–" : `${text.tokensPerSecond.toFixed(1)} tokens/s`}</dd>
        <dt>cache per token</dt>
        <dd>{bytes === undefined ? "–" : formatBytes(bytes)}</dd>
        <dt>cache now</dt>
        <dd>{bytes === undefined ? "–" : formatBytes(bytes * text.cachedTokens)}</dd>
        {text.keptTokens > 0 && (
          <>
            <dt>not read again</dt>
            <dd>{text.keptTokens} tokens</dd>
          </>
        )}
      </dl>
      {text.problem && (
        <p role="alert" class="problem">
          {text.problem}
        </p>
      )}
    </article>
  );
}

function AgreementLine() {
  const { original, folded } = comparison;
  const { compared, prefix, share } = agreementOf(original.value.tokens, folded.value.tokens);
  if (compared === 0) return null;
  return (
    <p>
      The two texts agree for the first <strong>{prefix}</strong> of {compared} tokens; {formatShare(share)}{" "}
      of all positions hold the same token.
    </p>
  );
}
