import type { LayerEnergy } from "../fold/fold-request.js";
import { LayerChart } from "./layer-chart.js";

/** The entry of `LayerEnergy` shown: the top quarter of the directions. */
const QUARTER = 1;

/** Figure 1 of arXiv 2406.07056: how much of the energy lies in the top quarter of the directions, by layer. */
export const EnergyChart = ({ energy }: { readonly energy: readonly LayerEnergy[] }) => (
  <LayerChart
    label="Energy in the top quarter of the directions, by layer"
    height={220}
    ticks={[0, 0.5, 0.75, 0.9, 1]}
    lines={[
      { name: "keys", kind: "keys", shares: energy.map(({ keys }) => keys[QUARTER]!) },
      { name: "values", kind: "values", shares: energy.map(({ values }) => values[QUARTER]!) },
    ]}
  />
);
