/**
 * Figure 1 of arXiv 2406.07056 as small multiples: a panel for each share of the directions, a line for each kind of
 * activation, layers from left to right. All panels have the same axis from 0 to 100 %, so heights compare.
 */
import type { inspectModel } from "../jobs/inspect.js";
import type { LayerEnergy } from "../jobs/measure-energy.js";

interface Series {
  readonly name: string;
  readonly colour: string;
  readonly shares: (energy: LayerEnergy) => readonly number[] | null;
}

/** Hues that stay apart for colour-blind readers and in grey. */
const allSeries: readonly Series[] = [
  { name: "keys before RoPE", colour: "#d98200", shares: ({ keysBeforeRope }) => keysBeforeRope },
  { name: "keys after RoPE", colour: "#1f5fa8", shares: ({ keys }) => keys },
  { name: "values", colour: "#2b8a67", shares: ({ values }) => values },
];

/** Keys of a model without RoPE are just keys. */
const withoutRope: readonly Series[] = [{ ...allSeries[1]!, name: "keys" }, allSeries[2]!];

const PANEL = { width: 260, height: 220, gap: 28 };
const MARGIN = { left: 76, right: 24, top: 120, bottom: 56 };
const GRID = [0, 0.25, 0.5, 0.75, 1];
/** More layer labels than these run into each other. */
const MAX_LAYER_LABELS = 12;

export declare namespace energySvg {
  interface Options {
    /** What was measured; goes into the title. */
    readonly title: string;
  }
}

/** Draws the shares of energy as an SVG document: no scripts, no fonts of its own, a light background. */
export function energySvg(energy: inspectModel.Energy, { title }: energySvg.Options): string {
  const { fractions, layers, windows, window } = energy;
  const series = layers.every(({ keysBeforeRope }) => keysBeforeRope === null) ? withoutRope : allSeries;
  const width = MARGIN.left + fractions.length * (PANEL.width + PANEL.gap) - PANEL.gap + MARGIN.right;
  const height = MARGIN.top + PANEL.height + MARGIN.bottom;
  const panels = fractions.map((fraction, index) => drawPanel({ fraction, index, layers, series }));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="#333">
<title>${escapeXml(`Energy of keys and values of ${title}`)}</title>
<rect width="${width}" height="${height}" fill="#fff"/>
${text(MARGIN.left, 30, `Energy of keys and values in their top directions: ${title}`, 'font-size="16" font-weight="600" fill="#111"')}
${text(MARGIN.left, 50, `second moment of a whole layer, ${windows} windows of ${window} tokens`, 'fill="#666"')}
${drawLegend(series)}
${panels.join("\n")}
${drawShareAxisTitle()}
</svg>
`;
}

function drawShareAxisTitle(): string {
  const x = MARGIN.left - 58;
  const y = MARGIN.top + PANEL.height / 2;
  return text(
    x,
    y,
    "share of the energy",
    `text-anchor="middle" fill="#666" transform="rotate(-90 ${x} ${y})"`,
  );
}

function drawLegend(series: readonly Series[]): string {
  const step = 150;
  return series
    .map(({ name, colour }, index) => {
      const x = MARGIN.left + index * step;
      return `<g stroke="${colour}" fill="${colour}"><line x1="${x}" x2="${x + 22}" y1="70" y2="70" stroke-width="2"/><circle cx="${x + 11}" cy="70" r="3.5"/></g>${text(x + 30, 74, name)}`;
    })
    .join("\n");
}

interface Panel {
  readonly fraction: number;
  readonly index: number;
  readonly layers: readonly LayerEnergy[];
  readonly series: readonly Series[];
}

function drawPanel({ fraction, index, layers, series }: Panel): string {
  const x = MARGIN.left + index * (PANEL.width + PANEL.gap);
  const heading = text(0, -14, `top ${100 * fraction} % of directions`, 'font-weight="600"');
  const parts = [
    heading,
    drawGrid(index === 0),
    drawLayerAxis(layers),
    ...series.map((line) => drawSeries(line, index, layers)),
  ];
  return `<g transform="translate(${x} ${MARGIN.top})">\n${parts.join("\n")}\n</g>`;
}

const drawGrid = (labelled: boolean): string =>
  GRID.map((share) => {
    const y = yOf(share);
    const line = `<line x1="0" x2="${PANEL.width}" y1="${y}" y2="${y}" stroke="${share === 0 ? "#888" : "#e2e2e2"}"/>`;
    return labelled ? line + text(-8, y + 4, `${100 * share} %`, 'text-anchor="end"') : line;
  }).join("\n");

function drawLayerAxis(layers: readonly LayerEnergy[]): string {
  const every = Math.ceil(layers.length / MAX_LAYER_LABELS);
  const labels = layers
    .filter((_, index) => index % every === 0)
    .map(({ layer }) =>
      text(xOf(layer, layers.length), PANEL.height + 18, String(layer), 'text-anchor="middle"'),
    );
  return [
    ...labels,
    text(PANEL.width / 2, PANEL.height + 38, "layer", 'text-anchor="middle" fill="#666"'),
  ].join("\n");
}

function drawSeries(
  { colour, shares, name }: Series,
  fractionIndex: number,
  layers: readonly LayerEnergy[],
): string {
  const points = layers.map((energy) => ({
    x: xOf(energy.layer, layers.length),
    y: yOf(shares(energy)?.[fractionIndex] ?? 0),
  }));
  const line = `<polyline points="${points.map(({ x, y }) => `${x},${y}`).join(" ")}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"/>`;
  const dots = points.map(({ x, y }) => `<circle cx="${x}" cy="${y}" r="3.5"/>`).join("");
  return `<g fill="${colour}"><title>${escapeXml(name)}</title>${line}${dots}</g>`;
}

/** Layers stand in the middle of equal columns. */
const xOf = (layer: number, layers: number): number => round(((layer + 0.5) / layers) * PANEL.width);
const yOf = (share: number): number => round((1 - share) * PANEL.height);
const round = (value: number): number => Math.round(value * 10) / 10;

const text = (x: number, y: number, content: string, attributes = ""): string =>
  `<text x="${x}" y="${y}"${attributes === "" ? "" : ` ${attributes}`}>${escapeXml(content)}</text>`;

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

const escapeXml = (content: string): string =>
  content.replace(/[&<>"]/g, (character) => entities[character]!);
