/** A small chart by layer: one of several that stand side by side. */
export interface Panel {
  readonly heading: string;
  /** Place of the upper left corner. */
  readonly at: { readonly x: number; readonly y: number };
  /** The share at the upper edge; the lower edge is 0. */
  readonly top: number;
  /** Whether the grid has its shares written beside it. */
  readonly labelled: boolean;
  readonly lines: readonly Line[];
}

export interface Line {
  readonly name: string;
  readonly colour: string;
  /** Shares, one for each layer. */
  readonly shares: readonly number[];
}

export const PANEL = { width: 260, height: 220, gap: 28 };
const GRID = [0, 0.25, 0.5, 0.75, 1];
/** More layer labels than these run into each other. */
const MAX_LAYER_LABELS = 12;

/** Draws a panel as a group; all panels of one `top` have the same axis, so heights compare. */
export function drawPanel({ heading, at, top, labelled, lines }: Panel): string {
  const parts = [
    text(0, -14, heading, 'font-weight="600"'),
    drawGrid(top, labelled),
    drawLayerAxis(lines[0]?.shares.length ?? 0),
    ...lines.map((line) => drawLine(line, top)),
  ];
  return `<g transform="translate(${at.x} ${at.y})">\n${parts.join("\n")}\n</g>`;
}

const drawGrid = (top: number, labelled: boolean): string =>
  GRID.map((part) => {
    const y = yOf(part);
    const line = `<line x1="0" x2="${PANEL.width}" y1="${y}" y2="${y}" stroke="${part === 0 ? "#888" : "#e2e2e2"}"/>`;
    return labelled ? line + text(-8, y + 4, `${round(100 * part * top)} %`, 'text-anchor="end"') : line;
  }).join("\n");

function drawLayerAxis(layers: number): string {
  const every = Math.ceil(layers / MAX_LAYER_LABELS);
  const labels = Array.from({ length: layers }, (_, layer) => layer)
    .filter((layer) => layer % every === 0)
    .map((layer) => text(xOf(layer, layers), PANEL.height + 18, String(layer), 'text-anchor="middle"'));
  return [
    ...labels,
    text(PANEL.width / 2, PANEL.height + 38, "layer", 'text-anchor="middle" fill="#666"'),
  ].join("\n");
}

function drawLine({ name, colour, shares }: Line, top: number): string {
  const points = shares.map((share, layer) => ({ x: xOf(layer, shares.length), y: yOf(share / top) }));
  const line = `<polyline points="${points.map(({ x, y }) => `${x},${y}`).join(" ")}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"/>`;
  const dots = points.map(({ x, y }) => `<circle cx="${x}" cy="${y}" r="3.5"/>`).join("");
  return `<g fill="${colour}"><title>${escapeXml(name)}</title>${line}${dots}</g>`;
}

/** Layers stand in the middle of equal columns. */
const xOf = (layer: number, layers: number): number => round(((layer + 0.5) / layers) * PANEL.width);
const yOf = (part: number): number => round((1 - part) * PANEL.height);
const round = (value: number): number => Math.round(value * 10) / 10;

/** A line of text as an SVG element. */
export const text = (x: number, y: number, content: string, attributes = ""): string =>
  `<text x="${x}" y="${y}"${attributes === "" ? "" : ` ${attributes}`}>${escapeXml(content)}</text>`;

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

export const escapeXml = (content: string): string =>
  content.replace(/[&<>"]/g, (character) => entities[character]!);
