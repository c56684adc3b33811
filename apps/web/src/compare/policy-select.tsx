import { cachePolicies, wantedPolicy } from "./cache-policies.js";
import { modelsBusy } from "./loaded-models.js";

/** Chooses what the folded model's cache drops or rounds while it answers. */
export const PolicySelect = () => (
  <label>
    Cache policy of the folded model{" "}
    <select
      disabled={modelsBusy.value}
      value={wantedPolicy.value?.cache ?? ""}
      onChange={({ currentTarget }) => {
        wantedPolicy.value = cachePolicies.find(({ cache }) => cache === currentTarget.value);
      }}
    >
      <option value="">none</option>
      {cachePolicies.map(({ cache, label }) => (
        <option key={cache} value={cache}>
          {label}
        </option>
      ))}
    </select>
  </label>
);
