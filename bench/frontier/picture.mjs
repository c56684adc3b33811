/** Quality against bytes as an SVG: prose, answers where the question is unknown, and where it is known. */
import { answers, kindOf } from "./summary.mjs";

const COLOURS = {
  whole: "#000000",
  fold: "#4e79a7",
  policy: "#f28e2b",
  bits: "#59a14f",
  "fold + policy": "#e15759",
  "fold + bits": "#76b7b2",
  "policy + bits": "#edc948",
  "fold + policy + bits": "#b07aa1",
};
/** The smallest share of bytes that is drawn, and the largest perplexity ratio. */
const LEAST = 1 / 256;
const WORST = 2;
const WIDTH = 280;
const HEIGHT = 230;
const TOP = 50;

const x = (bytes) => (WIDTH * Math.log(Math.max(LEAST, bytes))) / Math.log(LEAST);

const PANELS = [
  {
    title: "prose: perplexity ratio",
    of: ({ prose }) => prose,
    y: (ratio) => (HEIGHT * Math.log(Math.min(WORST, Math.max(1, ratio)))) / Math.log(WORST),
    ticks: [1, 1.05, 1.1, 1.2, 1.4, 2].map((tick) => [tick, String(tick)]),
    better: (a, b) => a < b,
  },
  ...["unknown", "known"].map((question) => ({
    title: `right answers, question ${question}`,
    of: (point) => answers(point, question),
    y: (share) => HEIGHT * (1 - share),
    ticks: [0, 0.25, 0.5, 0.75, 1].map((tick) => [tick, `${100 * tick} %`]),
    better: (a, b) => a > b,
  })),
];

export function picture(points) {
  const body = PANELS.map((panel, index) => drawPanel(points, panel, 60 + index * (WIDTH + 70))).join("\n");
  const legend = Object.entries(COLOURS).map(
    ([kind, colour], index) =>
      `<circle cx="${70 + index * 128}" cy="${TOP + HEIGHT + 50}" r="4" fill="${colour}"/><text x="${80 + index * 128}" y="${TOP + HEIGHT + 54}">${kind}</text>`,
  );
  const width = 60 + PANELS.length * (WIDTH + 70);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${TOP + HEIGHT + 70}" font-family="sans-serif" font-size="11"><title>Quality by cache size</title><rect width="100%" height="100%" fill="#fff"/>\n${body}\n${legend.join("")}</svg>\n`;
}

function drawPanel(points, panel, left) {
  const { title, of, y, ticks } = panel;
  const shown = points.filter((point) => of(point) !== undefined && point.bytes >= LEAST);
  const at = (point) => `${(left + x(point.bytes)).toFixed(1)},${(TOP + y(of(point))).toFixed(1)}`;
  const rules = ticks.map(
    ([tick, name]) =>
      `<line x1="${left}" x2="${left + WIDTH}" y1="${TOP + y(tick)}" y2="${TOP + y(tick)}" stroke="#ddd"/><text x="${left - 6}" y="${TOP + y(tick) + 4}" text-anchor="end">${name}</text>`,
  );
  const shares = Array.from({ length: 9 }, (_, index) => 2 ** -index).map(
    (share) =>
      `<text x="${left + x(share)}" y="${TOP + HEIGHT + 18}" text-anchor="middle">${share === 1 ? "1" : `1/${1 / share}`}</text>`,
  );
  const best = frontier(shown, panel);
  const dots = shown.map((point) => {
    const [cx, cy] = at(point).split(",");
    const edge = best.includes(point) ? ' stroke="#000"' : "";
    return `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${COLOURS[kindOf(point)]}"${edge}><title>${point.keep} ${point.cache}</title></circle>`;
  });
  return [
    `<text x="${left + WIDTH / 2}" y="30" text-anchor="middle" font-weight="bold">${title}</text>`,
    ...rules,
    ...shares,
    `<polyline points="${best.map(at).join(" ")}" fill="none" stroke="#000" stroke-width="1"/>`,
    ...dots,
  ].join("");
}

/** Points that no other beats with as few bytes, largest first. */
function frontier(points, { of, better }) {
  const rising = [...points].sort((a, b) => a.bytes - b.bytes || (better(of(a), of(b)) ? -1 : 1));
  const best = [];
  for (const point of rising) if (best.length === 0 || better(of(point), of(best.at(-1)))) best.push(point);
  return best.reverse();
}
