import { modelsBusy, wantedProvider } from "./loaded-models.js";

const PROVIDERS = { auto: "whatever is faster", webgpu: "GPU (WebGPU)", wasm: "WebAssembly" } as const;

/** Chooses what runs both models. */
export const ProviderSelect = () => (
  <label>
    Run on{" "}
    <select
      disabled={modelsBusy.value}
      value={wantedProvider.value}
      onChange={({ currentTarget }) => (wantedProvider.value = currentTarget.value as keyof typeof PROVIDERS)}
    >
      {Object.entries(PROVIDERS).map(([provider, label]) => (
        <option key={provider} value={provider}>
          {label}
        </option>
      ))}
    </select>
  </label>
);
