import { choicesOf, Select } from "../ui/select.js";
import { modelsBusy, wantedProvider } from "./loaded-models.js";

const PROVIDERS = choicesOf({ auto: "whatever is faster", webgpu: "GPU (WebGPU)", wasm: "WebAssembly" });

/** Chooses what runs both models. */
export const ProviderSelect = () => (
  <Select
    label="Run on"
    choices={PROVIDERS}
    value={wantedProvider.value}
    disabled={modelsBusy.value}
    onChoose={(provider) => {
      wantedProvider.value = provider;
    }}
  />
);
