import type { ChatTemplate } from "@kvfold/runtime";
import { useSignal } from "@preact/signals";
import { answerBoth, forgetConversations } from "./comparison.js";
import { type Both, PromptForm } from "./prompt-form.js";

interface Props {
  readonly both: Both | undefined;
  readonly chat: ChatTemplate;
}

/** A message that both models answer, in the conversation that they have had so far. */
export function ChatForm({ both, chat }: Props) {
  const message = useSignal("");
  const send = (models: Both) => {
    if (message.value.trim() === "") return;
    void answerBoth({ ...models, chat, prompt: message.value });
    message.value = "";
  };
  return (
    <PromptForm
      both={both}
      label="Message"
      text={message}
      submit={{ name: "Send to both", act: send }}
      other={{
        name: "New conversation",
        act: ({ original, folded }) => forgetConversations([original, folded]),
      }}
    />
  );
}
