import { type Chunk, type FoldPlan, findBudget, type SidePlan } from "@kvfold/converter";
import { cachePrecisionsOf, quantisedBytesPerToken } from "@kvfold/converter/internals";
import { formatBytes } from "@kvfold/runtime";
import type { Colours } from "../ui/terminal.js";
import { describeKeptShare } from "./kept-share.js";
import { renderPairs, renderTable } from "./table.js";

/** A plan as text: what happens to which layers, and what it saves. */
export function renderPlan(plan: FoldPlan, colours: Colours): string {
  const { before, after } = plan.cacheBytesPerToken;
  const summary = renderPairs([
    ["family", plan.family],
    ["method", plan.method],
    ["keep", plan.keep],
    ["kept", describeKeptShare(plan)],
    ["budget", describeBudget(plan)],
    ["healing", plan.heal],
    ...plan.notices.map((notice) => ["note", notice] as const),
    ["calibration", describeCalibration(plan)],
    [
      "attention",
      plan.attention === "group-query" ? "GroupQueryAttention, cache in place" : "MatMul and Softmax",
    ],
    ...(plan.chunk === undefined ? [] : [["chunks", describeChunk(plan.chunk)] as const]),
    ...(plan.context === undefined
      ? []
      : [["positions", `bases are made for positions up to ${plan.context}`] as const]),
    ["written", `${plan.formats.join(", ")} in ${plan.dtypes.join(", ")}`],
    ["context", `${plan.maxPositions} tokens`],
    ["cache per token", `${formatBytes(before)} -> ${formatBytes(after)}`],
    ...cachePrecisionsOf(plan).map(
      (precision) =>
        [
          `cache per token, ${precision}`,
          formatBytes(quantisedBytesPerToken(plan.layers, precision, plan.chunk !== undefined)),
        ] as const,
    ),
    [
      "cache at full context",
      `${formatBytes(before * plan.maxPositions)} -> ${formatBytes(after * plan.maxPositions)}`,
    ],
  ]);
  const layers = renderTable(
    groupLayers(plan),
    [
      { heading: "layers", cell: ({ range }) => range },
      { heading: "keys", cell: ({ keys }) => describeSide(keys) },
      { heading: "values", cell: ({ values }) => describeSide(values) },
    ],
    colours,
  );
  return `${summary}\n\n${layers}`;
}

const describeBudget = ({ budget, settled }: FoldPlan): string =>
  settled ? budget : `${budget}: folding settles the ranks by measurement; those below are uniform`;

function describeCalibration({ taps, budget }: FoldPlan): string {
  const measured = [...taps, ...(findBudget(budget).needsText ? [`what the ${budget} budget compares`] : [])];
  return measured.length === 0 ? "not needed" : `measures ${measured.join(", ")}`;
}

export function describeChunk(chunk: Chunk): string {
  if (chunk === 1) return "none: keys are expanded before each use";
  return typeof chunk === "number"
    ? `${chunk} slots`
    : `${chunk.least} slots, up to 64 where a pair turns by at most ${chunk.phase} radians in them`;
}

const describeSide = ({ span, heads, rank }: SidePlan): string =>
  `span ${span}: ${heads} ${heads === 1 ? "head" : "heads"} of ${rank}`;

interface LayerRange {
  readonly range: string;
  readonly keys: SidePlan;
  readonly values: SidePlan;
}

/** Neighbouring layers of one plan share a row. */
function groupLayers({ layers }: FoldPlan): readonly LayerRange[] {
  const starts = layers.flatMap((layer, index) =>
    index > 0 && same(layer, layers[index - 1]!) ? [] : [index],
  );
  return starts.map((start, row) => {
    const last = (starts[row + 1] ?? layers.length) - 1;
    return { range: start === last ? `${start}` : `${start}-${last}`, ...layers[start]! };
  });
}

const same = (a: FoldPlan["layers"][number], b: FoldPlan["layers"][number]): boolean =>
  JSON.stringify(a) === JSON.stringify(b);
