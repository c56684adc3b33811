import { effect, signal } from "@preact/signals";
import { cachePolicies, wantedPolicy } from "../compare/cache-policies.js";
import { hubName } from "../hub/hub-state.js";
import { chooseEmbedded, chosenModel } from "../models/chosen-model.js";
import type { PickedFolder } from "../models/dropped-folder.js";
import { linkSetting, oneOf, readHash, settingsAsHash } from "./link-setting.js";

/** What the page does not understand of the link that it was opened with. */
export const unknownSettings = signal<readonly string[]>([]);

const EMBEDDED = "prose-6m";
const HUB_NAME = /^[\w.-]+\/[\w.-]+$/;
/** The model of a link: one that others can open, too, so no folder of this machine. */
const modelName = linkSetting("model", "", (text) =>
  text === "" || text === EMBEDDED || HUB_NAME.test(text) ? text : undefined,
);
const policyName = linkSetting("policy", "", oneOf(["", ...cachePolicies.map(({ cache }) => cache)]));

/** Sets the controls as the address says, and keeps the address as the controls are set. */
export function followLink(): void {
  openAddress();
  addEventListener("hashchange", openAddress);
  effect(() => {
    const model = chosenModel.value;
    if (model !== undefined) modelName.value = sharedName(model);
  });
  effect(() => {
    policyName.value = wantedPolicy.value?.cache ?? "";
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
  wantedPolicy.value = cachePolicies.find(({ cache }) => cache === policyName.value);
  // A model of the Hub may be large: the link fills in its name, and leaves it to the user to load it.
  if (modelName.value.includes("/")) hubName.value = modelName.value;
  if (modelName.value === EMBEDDED && chosenModel.value?.embedded !== true) void chooseEmbedded();
}

/** Folders of this machine have no slash in their names. */
const sharedName = ({ name, embedded }: PickedFolder): string =>
  embedded === true ? EMBEDDED : name.includes("/") ? name : "";
