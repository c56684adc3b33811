import { formatBytes } from "../ui/format.js";
import type { QualityPoint } from "./quality-points.js";

const WIDTH = 520;
const HEIGHT = 220;
const PAD = { left: 52, right: 24, top: 20, bottom: 34 };

/** Perplexity ratio against cache bytes per token; the ratio's axis starts at 1, the original. */
export function QualityChart({ points }: { readonly points: readonly QualityPoint[] }) {
  const most = Math.max(1.1, ...points.map(({ ratio }) => ratio));
  const widest = Math.max(...points.map(({ bytes }) => bytes));
  const x = (bytes: number) => PAD.left + (bytes / widest) * (WIDTH - PAD.left - PAD.right);
  const y = (ratio: number) =>
    HEIGHT - PAD.bottom - ((ratio - 1) / (most - 1)) * (HEIGHT - PAD.top - PAD.bottom);
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label="Perplexity ratio by cache bytes per token">
      {[1, (1 + most) / 2, most].map((ratio) => (
        <g key={ratio}>
          <line class="grid" x1={PAD.left} x2={WIDTH - PAD.right} y1={y(ratio)} y2={y(ratio)} />
          <text x={PAD.left - 6} y={y(ratio) + 4} text-anchor="end">
            {ratio.toFixed(2)}
          </text>
        </g>
      ))}
      <g class="series keys">
        <polyline points={points.map(({ bytes, ratio }) => `${x(bytes)},${y(ratio)}`).join(" ")} />
        {points.map(({ keep, bytes, ratio }) => (
          <g key={keep}>
            <circle cx={x(bytes)} cy={y(ratio)} r={4} />
            <text x={x(bytes)} y={y(ratio) - 9} text-anchor="end">
              {keep}: {ratio.toFixed(3)}
            </text>
            <text class="axis" x={x(bytes)} y={HEIGHT - 12} text-anchor="middle">
              {formatBytes(bytes)}
            </text>
          </g>
        ))}
      </g>
    </svg>
  );
}
