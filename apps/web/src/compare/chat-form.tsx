import type { ChatTemplate } from "@kvfold/runtime";
import { useSignal } from "@preact/signals";
import { answerBoth, forgetConversations } from "./comparison.js";
import type { Both } from "./continue-form.js";
import { modelsBusy } from "./loaded-models.js";
import { StopButton } from "./stop-button.js";

interface Props {
  readonly both: Both | undefined;
  readonly chat: ChatTemplate;
}

/** A message that both models answer, in the conversation that they have had so far. */
export function ChatForm({ both, chat }: Props) {
  const message = useSignal("");
  const send = (event: Event) => {
    event.preventDefault();
    if (both === undefined || message.value.trim() === "") return;
    void answerBoth({ ...both, chat, prompt: message.value });
    message.value = "";
  };
  const disabled = both === undefined || modelsBusy.value;
  return (
    <form onSubmit={send}>
      <label>
        Message
        <textarea
          rows={2}
          value={message.value}
          onInput={({ currentTarget }) => {
            message.value = currentTarget.value;
          }}
        />
      </label>
      <div class="row">
        <button type="submit" disabled={disabled}>
          Send to both
        </button>
        <button
          type="button"
          disabled={disabled}
          onClick={() => both && forgetConversations([both.original, both.folded])}
        >
          New conversation
        </button>
        <StopButton />
      </div>
    </form>
  );
}
