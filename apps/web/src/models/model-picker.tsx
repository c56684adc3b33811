import { formatBytes } from "@kvfold/runtime";
import { useSignal } from "@preact/signals";
import type { TargetedDragEvent, TargetedEvent } from "preact";
import { HubDownload } from "../hub/hub-download.js";
import { KeptView } from "../storage/kept-view.js";
import { chooseEmbedded, chooseModel, chosenModel, modelProblem } from "./chosen-model.js";
import { droppedFolder, pickedFolder } from "./dropped-folder.js";
import { totalBytes } from "./model-files.js";

/** Chooses the embedded model or a folder, by button, dialogue or drop. */
export function ModelPicker() {
  const over = useSignal(false);
  const drop = async (event: TargetedDragEvent<HTMLElement>) => {
    event.preventDefault();
    over.value = false;
    if (event.dataTransfer) chooseModel(await droppedFolder(event.dataTransfer.items));
  };
  const pick = ({ currentTarget }: TargetedEvent<HTMLInputElement>) => {
    if (currentTarget.files?.length) chooseModel(pickedFolder(currentTarget.files));
  };
  return (
    <section
      aria-labelledby="model-title"
      class={over.value ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => {
        over.value = false;
      }}
      onDrop={(event) => void drop(event)}
    >
      <h2 id="model-title">1. Choose a model</h2>
      <div class="row">
        <button type="button" onClick={() => void chooseEmbedded()}>
          Use the embedded prose-6m
        </button>
        <label class="button">
          Open a folder …
          <input class="visually-hidden" type="file" multiple ref={pickFolders} onChange={pick} />
        </label>
        <span class="hint">
          or drop a Hugging Face folder (Llama, Mistral, Qwen, Gemma, Phi and others; safetensors) here
        </span>
      </div>
      <HubDownload />
      <KeptView />
      <p role="status">
        {chosenModel.value && (
          <>
            <strong>{chosenModel.value.name}</strong>, {formatBytes(totalBytes(chosenModel.value.files))}
          </>
        )}
      </p>
      {modelProblem.value && (
        <p role="alert" class="problem">
          {modelProblem.value}
        </p>
      )}
    </section>
  );
}

/** An attribute that types know only as a property. */
function pickFolders(input: HTMLInputElement | null): void {
  if (input) input.webkitdirectory = true;
}
