/**
 * Two rows of small charts with a panel for each share of the cache, a line for each kind of activation, and layers from left
 * to right: the energy in the top directions (figure 1 of arXiv 2406.07056), and below it what latents lose.
 */
import type { inspectModel } from "../jobs/inspect.js";
import type { LayerEnergy } from "../jobs/measure-energy.js";
import { latentSeries } from "./lost-energy.js";
import { drawPanel, escapeXml, PANEL, type Panel, text } from "./svg-panel.js";

interface Series {
  readonly name: string;
  readonly colour: string;
  /** For each fraction. */
  readonly shares: (energy: LayerEnergy) => readonly number[] | null;
}

/** Hues that stay apart for colour-blind readers and in grey. */
const [ORANGE, BLUE, GREEN] = ["#d98200", "#1f5fa8", "#2b8a67"];

const keptSeries: readonly Series[] = [
  { name: "keys before RoPE", colour: ORANGE!, shares: ({ keysBeforeRope }) => keysBeforeRope },
  { name: "keys after RoPE", colour: BLUE!, shares: ({ keys }) => keys },
  { name: "values", colour: GREEN!, shares: ({ values }) => values },
];

/** Keys of a model without RoPE are just keys. */
const keptWithoutRope: readonly Series[] = [{ ...keptSeries[1]!, name: "keys" }, keptSeries[2]!];

const LOST_COLOURS = ["#9b4f96", "#1b998b", "#777777"];

const MARGIN = { left: 76, right: 24 };
/** From the top of one row to that of the next: legend, headings, panel and axis. */
const ROW = { first: 60, height: PANEL.height + 116, legend: 10, panels: 60 };
/** Upper ends of the axis of losses. */
const TOPS = [0.04, 0.1, 0.2, 0.4, 1];

export declare namespace energySvg {
  interface Options {
    /** What was measured; goes into the title. */
    readonly title: string;
  }
}

/** Draws the shares of energy as an SVG document: no scripts, no fonts of its own, a light background. */
export function energySvg(energy: inspectModel.Energy, { title }: energySvg.Options): string {
  const { fractions, windows, window } = energy;
  const width = MARGIN.left + fractions.length * (PANEL.width + PANEL.gap) - PANEL.gap + MARGIN.right;
  const height = ROW.first + 2 * ROW.height;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="#333">
<title>${escapeXml(`Energy of keys and values of ${title}`)}</title>
<rect width="${width}" height="${height}" fill="#fff"/>
${text(MARGIN.left, 30, `Energy of keys and values in their top directions: ${title}`, 'font-size="16" font-weight="600" fill="#111"')}
${text(MARGIN.left, 50, `second moment of a whole layer, ${windows} windows of ${window} tokens`, 'fill="#666"')}
${drawKept(energy)}
${drawLost(energy)}
</svg>
`;
}

function drawKept(energy: inspectModel.Energy): string {
  const rotates = energy.layers.some(({ keysBeforeRope }) => keysBeforeRope !== null);
  return drawRow(energy, {
    row: 0,
    axis: "share of the energy",
    heading: (percent) => `top ${percent} % of directions`,
    top: 1,
    series: rotates ? keptSeries : keptWithoutRope,
  });
}

function drawLost(energy: inspectModel.Energy): string {
  const series = latentSeries(energy).map(({ name, lost }, index) => ({
    name: name === "apart" ? "lost in latents apart" : `lost in a ${name.replace("joint", "joint latent")}`,
    colour: LOST_COLOURS[index]!,
    shares: (layer: LayerEnergy) => lost(layer.lost),
  }));
  const most = Math.max(
    0,
    ...energy.layers.flatMap((layer) => series.flatMap(({ shares }) => shares(layer)!)),
  );
  return drawRow(energy, {
    row: 1,
    axis: "energy lost",
    heading: (percent) => `${percent} % of the cache kept`,
    top: TOPS.find((top) => top >= most) ?? 1,
    series,
  });
}

interface Row {
  readonly row: number;
  readonly axis: string;
  readonly heading: (percent: number) => string;
  readonly top: number;
  readonly series: readonly Series[];
}

function drawRow(
  { fractions, layers }: inspectModel.Energy,
  { row, axis, heading, top, series }: Row,
): string {
  const y = ROW.first + row * ROW.height;
  const panels = fractions.map((fraction, index): Panel => {
    const x = MARGIN.left + index * (PANEL.width + PANEL.gap);
    const lines = series.map(({ name, colour, shares }) => ({
      name,
      colour,
      shares: layers.map((layer) => shares(layer)?.[index] ?? 0),
    }));
    const at = { x, y: y + ROW.panels };
    return { heading: heading(100 * fraction), at, top, labelled: index === 0, lines };
  });
  return [
    drawLegend(series, y + ROW.legend),
    ...panels.map(drawPanel),
    drawShareAxisTitle(axis, y + ROW.panels + PANEL.height / 2),
  ].join("\n");
}

function drawShareAxisTitle(title: string, y: number): string {
  const x = MARGIN.left - 58;
  return text(x, y, title, `text-anchor="middle" fill="#666" transform="rotate(-90 ${x} ${y})"`);
}

function drawLegend(series: readonly Series[], y: number): string {
  const step = 200;
  return series
    .map(({ name, colour }, index) => {
      const x = MARGIN.left + index * step;
      return `<g stroke="${colour}" fill="${colour}"><line x1="${x}" x2="${x + 22}" y1="${y}" y2="${y}" stroke-width="2"/><circle cx="${x + 11}" cy="${y}" r="3.5"/></g>${text(x + 30, y + 4, name)}`;
    })
    .join("\n");
}
