import { useSignal } from "@preact/signals";
import { addressWith, unknownSettings } from "./follow-link.js";
import { settingsAsHash } from "./link-setting.js";

/** Copies a link that opens the page with these settings. */
export function ShareLink() {
  const note = useSignal("");
  const copy = async () => {
    const link = new URL(addressWith(settingsAsHash()), location.href).href;
    try {
      await navigator.clipboard.writeText(link);
      note.value = "Copied.";
    } catch {
      note.value = `The browser does not let the page copy: ${link}`;
    }
  };
  const unknown = unknownSettings.value;
  return (
    <div class="share">
      <button
        type="button"
        title="A link that opens this page with these settings"
        onClick={() => void copy()}
      >
        Copy link
      </button>
      <span role="status">
        {note.value ||
          (unknown.length > 0 && `The link that was opened asks for what is unknown: ${unknown.join(", ")}.`)}
      </span>
    </div>
  );
}
