import type { LayerEnergy } from "../fold/fold-request.js";
import { formatShare } from "../ui/format.js";

const WIDTH = 520;
const HEIGHT = 220;
const PAD = { left: 44, right: 12, top: 12, bottom: 30 };
/** The entry of `LayerEnergy` shown: the top quarter of the directions. */
const QUARTER = 1;

const y = (share: number): number => PAD.top + (1 - share) * (HEIGHT - PAD.top - PAD.bottom);

/** Figure 1 of arXiv 2406.07056: how much of the energy lies in the top quarter of the directions, by layer. */
export function EnergyChart({ energy }: { readonly energy: readonly LayerEnergy[] }) {
  const step = (WIDTH - PAD.left - PAD.right) / Math.max(1, energy.length - 1);
  const x = (layer: number) => PAD.left + layer * step;
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label="Energy in the top quarter of the directions, by layer"
    >
      {[0, 0.5, 0.75, 0.9, 1].map((share) => (
        <g key={share}>
          <line class="grid" x1={PAD.left} x2={WIDTH - PAD.right} y1={y(share)} y2={y(share)} />
          <text x={PAD.left - 6} y={y(share) + 4} text-anchor="end">
            {formatShare(share)}
          </text>
        </g>
      ))}
      {energy.map((_, layer) => (
        <text key={`layer ${layer + 1}`} x={x(layer)} y={HEIGHT - 10} text-anchor="middle">
          {layer + 1}
        </text>
      ))}
      <Line name="keys" points={energy.map(({ keys }, layer) => [x(layer), y(keys[QUARTER]!)])} />
      <Line name="values" points={energy.map(({ values }, layer) => [x(layer), y(values[QUARTER]!)])} />
    </svg>
  );
}

interface LineProps {
  readonly name: "keys" | "values";
  readonly points: readonly (readonly [x: number, y: number])[];
}

function Line({ name, points }: LineProps) {
  const end = points.at(-1);
  return (
    <g class={`series ${name}`}>
      <polyline points={points.map((point) => point.join(",")).join(" ")} />
      {points.map(([cx, cy]) => (
        <circle key={cx} cx={cx} cy={cy} r={4} />
      ))}
      {end && (
        <text x={end[0] - 6} y={end[1] - 8} text-anchor="end">
          {name}
        </text>
      )}
    </g>
  );
}
