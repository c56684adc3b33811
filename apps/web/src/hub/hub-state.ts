import { formatBytes } from "@kvfold/runtime";
import { signal } from "@preact/signals";
import { chooseModel } from "../models/chosen-model.js";
import { openStorage } from "../storage/kept-folders.js";
import { refreshKept } from "../storage/kept-state.js";
import { messageOf } from "../ui/format.js";
import { hubAddress } from "./hub-address.js";

export type DownloadState =
  | { readonly kind: "idle" }
  | { readonly kind: "running"; readonly label: string; readonly share: number }
  | { readonly kind: "failed"; readonly message: string };

export const downloadState = signal<DownloadState>({ kind: "idle" });

/** `owner/name`, as the user types it; one field for what fits and what is loaded. */
export const hubName = signal("");

let stop = new AbortController();

export const cancelDownload = (): void => stop.abort();

/** Brings a model from the Hub into the browser's storage, and chooses it. */
export async function chooseFromHub(name: string): Promise<void> {
  stop = new AbortController();
  const { signal } = stop;
  downloadState.value = { kind: "running", label: `looking for ${name}`, share: 0 };
  try {
    const { downloadModel } = await import("./download-model.js");
    const { quota, usage = 0 } = (await navigator.storage?.estimate?.()) ?? {};
    const model = await downloadModel(name, {
      hubUrl: hubAddress(document.baseURI),
      signal,
      storage: await openStorage(),
      freeBytes: quota === undefined ? undefined : quota - usage,
      onProgress: ({ file, doneBytes, totalBytes }) => {
        const label = `${file}: ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
        downloadState.value = { kind: "running", label, share: doneBytes / totalBytes };
      },
    });
    downloadState.value = { kind: "idle" };
    chooseModel(model);
  } catch (error) {
    downloadState.value = signal.aborted ? { kind: "idle" } : { kind: "failed", message: messageOf(error) };
  }
  await refreshKept();
}
