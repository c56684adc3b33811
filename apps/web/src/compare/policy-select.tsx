import { Select } from "../ui/select.js";
import { cachePolicies, wantedPolicy } from "./cache-policies.js";
import { modelsBusy } from "./loaded-models.js";

/** Chooses what the folded model's cache drops or rounds while it answers. */
export const PolicySelect = () => (
  <Select<string>
    label="Cache policy of the folded model"
    choices={[["", "none"], ...cachePolicies.map(({ cache, label }) => [cache, label] as const)]}
    value={wantedPolicy.value?.cache ?? ""}
    disabled={modelsBusy.value}
    onChoose={(value) => {
      wantedPolicy.value = cachePolicies.find(({ cache }) => cache === value);
    }}
  />
);
