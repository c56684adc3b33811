import { effect, signal } from "@preact/signals";
import { chooseEmbedded, chosenModel } from "../models/chosen-model.js";
import { linkSetting, readHash, settingsAsHash } from "./link-setting.js";

/** What the page does not understand of the link that it was opened with. */
export const unknownSettings = signal<readonly string[]>([]);

const EMBEDDED = "prose-6m";
/** The model that a link opens: one that others can open, too, so no folder of this machine. */
const modelName = linkSetting("model", "", (text) => (text === EMBEDDED || text === "" ? text : undefined));

/** Sets the controls as the address says, and keeps the address as the controls are set. */
export function followLink(): void {
  openAddress();
  addEventListener("hashchange", openAddress);
  effect(() => {
    const model = chosenModel.value;
    if (model !== undefined) modelName.value = model.embedded === true ? EMBEDDED : "";
  });
  let known = settingsAsHash();
  // The address stays as it was opened until a setting changes: what the page does not know of it is shown again when it is loaded again.
  effect(() => {
    const hash = settingsAsHash();
    if (hash !== known) history.replaceState(null, "", addressWith(hash));
    known = hash;
  });
}

/** This page's address with other settings. */
export const addressWith = (hash: string): string =>
  location.pathname + location.search + (hash === "" ? "" : `#${hash}`);

function openAddress(): void {
  // Links within the page have a name there and no setting.
  if (location.hash !== "" && !location.hash.includes("=")) return;
  unknownSettings.value = readHash(location.hash);
  if (modelName.value === EMBEDDED && chosenModel.value?.embedded !== true) void chooseEmbedded();
}
