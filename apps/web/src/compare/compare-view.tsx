import { type ChatTemplate, formatBytes } from "@kvfold/runtime";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { comparedLabel, foldedModels, originalModel, type PreparedModel } from "../fold/fold-state.js";
import { readModelChat } from "../models/model-chat.js";
import { formatShare, messageOf } from "../ui/format.js";
import { plainChoices, Select } from "../ui/select.js";
import { agreementOf } from "./agreement.js";
import { ChatForm } from "./chat-form.js";
import { comparison } from "./comparison.js";
import type { Continuation } from "./continuation.js";
import { ContinueForm } from "./continue-form.js";
import { PerplexityForm } from "./perplexity-form.js";
import { PolicySelect } from "./policy-select.js";
import { ProviderSelect } from "./provider-select.js";

/** Original and folded side by side: both go on with a prompt, or answer in a conversation. */
export function CompareView() {
  const folded =
    foldedModels.value.find(({ label }) => label === comparedLabel.value) ?? foldedModels.value.at(-1);
  const original = originalModel.value;
  const both = original === undefined || folded === undefined ? undefined : { original, folded };
  const chat = useModelChat(original);
  return (
    <section aria-labelledby="compare-title">
      <h2 id="compare-title">3. Compare</h2>
      <div class="row">
        <Select
          label="Folded to"
          choices={plainChoices(foldedModels.value.map(({ label }) => label))}
          value={folded?.label ?? ""}
          disabled={both === undefined}
          onChoose={(label) => {
            comparedLabel.value = label;
          }}
        />
        <PolicySelect />
        <ProviderSelect />
      </div>
      {chat === undefined ? <ContinueForm both={both} /> : <ChatForm both={both} chat={chat} />}
      {both === undefined && <p class="hint">Fold a model first.</p>}
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
      {both && <PerplexityForm {...both} />}
    </section>
  );
}

/** The chat template of a model, once it is read; where it cannot be, the models continue texts, and the page says why. */
function useModelChat(original: PreparedModel | undefined): ChatTemplate | undefined {
  const chat = useSignal<ChatTemplate | undefined>(undefined);
  useEffect(() => {
    chat.value = undefined;
    let isCurrent = true;
    if (original !== undefined)
      readModelChat(original.result.files).then(
        (found) => {
          if (isCurrent) chat.value = found;
        },
        (error: unknown) => {
          comparison.status.value = messageOf(error);
        },
      );
    return () => {
      isCurrent = false;
    };
  }, [original, chat]);
  return chat.value;
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
      {text.turns.map(({ role, content }, index) => (
        <p key={`${index} ${role}`} class={`turn ${role}`}>
          <strong>{role === "user" ? "You" : "Model"}:</strong> {content}
        </p>
      ))}
      <p class="continuation" aria-live="polite" aria-busy={comparison.busy.value}>
        {text.text || "…"}
      </p>
      <dl>
        <dt>speed</dt>
        <dd>{text.tokensPerSecond === undefined ? "–" : `${text.tokensPerSecond.toFixed(1)} tokens/s`}</dd>
        <dt>cache per token</dt>
        <dd>{bytes === undefined ? "–" : formatBytes(bytes)}</dd>
        <dt>cache now</dt>
        <dd>{text.cacheBytes === undefined ? "–" : formatBytes(text.cacheBytes)}</dd>
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
