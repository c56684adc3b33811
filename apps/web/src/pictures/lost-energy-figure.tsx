import { ENERGY_FRACTIONS, type LayerEnergy } from "../fold/fold-request.js";
import { LayerChart, type LayerLine } from "./layer-chart.js";

type Lost = NonNullable<LayerEnergy["lost"]>;

/** Upper ends of the axis. */
const TOPS = [0.04, 0.08, 0.2, 0.4, 1];

const names: Readonly<Record<keyof Lost, string>> = {
  apart: "rotated keys and values apart",
  joint: "one latent, keys turned within chunks",
  unturned: "one latent, keys not turned",
};

/** What latents lose at each cache size: apart as the paper has them, and joint as `anchored` has them. */
export function LostEnergyFigure({ energy }: { readonly energy: readonly LayerEnergy[] }) {
  const layers = energy.flatMap(({ lost }) => (lost === undefined ? [] : [lost]));
  if (layers.length === 0) return <p class="hint">Appears while a model is folded by the method anchored.</p>;
  const kinds = layers.some(({ unturned }) => unturned !== null)
    ? (["apart", "joint", "unturned"] as const)
    : (["apart", "joint"] as const);
  return (
    <>
      <ul class="legend">
        {kinds.map((kind) => (
          <li key={kind} class={`series ${kind}`}>
            <span class="swatch" /> {names[kind]}
          </li>
        ))}
      </ul>
      <div class="columns">
        {ENERGY_FRACTIONS.map((fraction, index) => {
          const lines = kinds.map((kind) => lineOf(kind, layers, index));
          return <LostEnergyChart key={fraction} keep={`1/${1 / fraction}`} lines={lines} />;
        })}
      </div>
    </>
  );
}

const lineOf = (kind: keyof Lost, layers: readonly Lost[], index: number): LayerLine => ({
  name: "",
  kind,
  shares: layers.map((lost) => (lost[kind] ?? lost.joint)[index]!),
});

function LostEnergyChart({ keep, lines }: { readonly keep: string; readonly lines: readonly LayerLine[] }) {
  const most = Math.max(...lines.flatMap(({ shares }) => shares));
  const top = TOPS.find((share) => share >= most) ?? 1;
  return (
    <div>
      <p>
        {keep} of the cache, all layers: {lines.map(({ shares }) => formatLoss(meanOf(shares))).join(", ")}
      </p>
      <LayerChart
        label={`Energy lost at ${keep} of the cache, by layer`}
        height={150}
        ticks={[0, top / 4, top / 2, top]}
        lines={lines}
      />
    </div>
  );
}

const meanOf = (shares: readonly number[]): number =>
  shares.reduce((sum, share) => sum + share, 0) / shares.length;

const formatLoss = (share: number): string => `${(100 * share).toFixed(1)} %`;
