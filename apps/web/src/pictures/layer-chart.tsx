import { formatShare } from "../ui/format.js";
import { LABEL_GAP, labelRoom } from "./chart-labels.js";

const WIDTH = 520;
const PAD = { right: 12, top: 12, bottom: 30 };

interface Props {
  /** What it shows, for those who cannot see it. */
  readonly label: string;
  readonly height: number;
  /** Shares with a line across, ascending from 0; the last is the upper edge. */
  readonly ticks: readonly number[];
  readonly lines: readonly LayerLine[];
}

export interface LayerLine {
  readonly name: string;
  /** Class of its colour. */
  readonly kind: string;
  /** One for each layer. */
  readonly shares: readonly number[];
}

/** Shares by layer, a line for each kind. */
export function LayerChart({ label, height, ticks, lines }: Props) {
  const layers = lines[0]?.shares.length ?? 0;
  const left = labelRoom(ticks.map(formatShare));
  const step = (WIDTH - left - PAD.right) / Math.max(1, layers - 1);
  const x = (layer: number) => left + layer * step;
  const y = (share: number) => PAD.top + (1 - share / ticks.at(-1)!) * (height - PAD.top - PAD.bottom);
  return (
    <svg viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={label}>
      {ticks.map((share) => (
        <g key={share}>
          <line class="grid" x1={left} x2={WIDTH - PAD.right} y1={y(share)} y2={y(share)} />
          <text x={left - LABEL_GAP} y={y(share) + 4} text-anchor="end">
            {formatShare(share)}
          </text>
        </g>
      ))}
      {Array.from({ length: layers }, (_, layer) => (
        <text key={`layer ${layer + 1}`} x={x(layer)} y={height - 10} text-anchor="middle">
          {layer + 1}
        </text>
      ))}
      {lines.map(({ name, kind, shares }) => (
        <Line
          key={kind}
          name={name}
          kind={kind}
          points={shares.map((share, layer) => [x(layer), y(share)])}
        />
      ))}
    </svg>
  );
}

interface LineProps extends Omit<LayerLine, "shares"> {
  readonly points: readonly (readonly [x: number, y: number])[];
}

function Line({ name, kind, points }: LineProps) {
  const end = points.at(-1);
  return (
    <g class={`series ${kind}`}>
      <polyline points={points.map((point) => point.join(",")).join(" ")} />
      {points.map(([cx, cy]) => (
        <circle key={cx} cx={cx} cy={cy} r={4} />
      ))}
      {end && name !== "" && (
        <text x={end[0] - 6} y={end[1] - 8} text-anchor="end">
          {name}
        </text>
      )}
    </g>
  );
}
