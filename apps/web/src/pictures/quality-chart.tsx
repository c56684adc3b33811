import { formatBytes } from "@kvfold/runtime";
import { LABEL_GAP, labelRoom, spacedTicks } from "./chart-labels.js";
import { logScale } from "./log-scale.js";
import type { OwnPoint, PublishedCurve, QualityPoint } from "./quality-points.js";

const WIDTH = 520;
const HEIGHT = 300;
const TICKS = [1, 1.1, 1.25, 1.5, 2, 3, 5, 8, 14];
const PAD = { left: labelRoom(TICKS.map(String)), right: 24, top: 20, bottom: 34 };

interface Props {
  /** Measured in this tab. */
  readonly points: readonly OwnPoint[];
  readonly published: readonly PublishedCurve[];
}

/** Perplexity ratio against cache bytes per token, both axes logarithmic. */
export function QualityChart({ points, published }: Props) {
  const all = [...points, ...published.flatMap((curve) => curve.points)];
  const { x, y, ticks } = scalesOf(all);
  const sizes = [...new Map(all.map(({ bytes, keep }) => [bytes, keep]))];
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label="Perplexity ratio by cache bytes per token">
      {ticks.map((ratio) => (
        <g key={ratio}>
          <line class="grid" x1={PAD.left} x2={WIDTH - PAD.right} y1={y(ratio)} y2={y(ratio)} />
          <text x={PAD.left - LABEL_GAP} y={y(ratio) + 4} text-anchor="end">
            {ratio}
          </text>
        </g>
      ))}
      {sizes.map(([bytes, keep]) => (
        <text key={bytes} x={x(bytes)} y={HEIGHT - 12} text-anchor="middle">
          {keep}: {formatBytes(bytes)}
        </text>
      ))}
      {published.map((curve, index) => (
        <g key={curve.method} class={`series published-${index}`}>
          <polyline points={curve.points.map(({ bytes, ratio }) => `${x(bytes)},${y(ratio)}`).join(" ")} />
          {curve.points.map(({ bytes, ratio }) => (
            <circle key={bytes} cx={x(bytes)} cy={y(ratio)} r={3} />
          ))}
        </g>
      ))}
      <g class="series own">
        {points.map(({ label, bytes, ratio }) => (
          <g key={label}>
            <circle cx={x(bytes)} cy={y(ratio)} r={6} />
            <text x={x(bytes)} y={y(ratio) - 10} text-anchor="middle">
              {ratio.toFixed(3)}
            </text>
          </g>
        ))}
      </g>
    </svg>
  );
}

/** Room for every point; a single size lies in the middle. */
function scalesOf(points: readonly QualityPoint[]) {
  const bytes = points.map((point) => point.bytes);
  const ratios = points.map(({ ratio }) => ratio);
  // Healing can make a folded model better than the original is.
  const [least, most] = [Math.min(1, ...ratios), Math.max(1.1, ...ratios)];
  const y = logScale([least, most], [HEIGHT - PAD.bottom, PAD.top]);
  return {
    x: logScale([Math.min(...bytes) / 1.4, Math.max(...bytes) * 1.4], [PAD.left, WIDTH - PAD.right]),
    y,
    ticks: spacedTicks(
      TICKS.filter((ratio) => ratio <= most),
      y,
    ),
  };
}
