import { useSignal } from "@preact/signals";
import { continueBoth, goOnBoth } from "./comparison.js";
import { type Both, PromptForm } from "./prompt-form.js";

/** A beginning that both models go on with. */
export function ContinueForm({ both }: { readonly both: Both | undefined }) {
  const prompt = useSignal("It was a cold evening in November, and the fire had burned low when");
  return (
    <PromptForm
      both={both}
      label="Prompt"
      text={prompt}
      submit={{
        name: "Continue both",
        act: (models) => void continueBoth({ ...models, prompt: prompt.value }),
      }}
      other={{
        name: "Go on",
        title:
          "Goes on where the texts ended, also before the page was loaded anew, without reading them again",
        act: (models) => void goOnBoth({ ...models, prompt: prompt.value }),
      }}
    />
  );
}
