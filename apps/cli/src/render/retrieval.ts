import type { probeRetrieval } from "../jobs/probe-retrieval.js";
import type { Colours } from "../ui/terminal.js";
import { formatPercent } from "./format.js";
import { type Column, renderTable } from "./table.js";

interface Row extends probeRetrieval.Counts {
  readonly task: string;
  readonly length: string;
  readonly path: string;
}

const columns: readonly Column<Row>[] = [
  { heading: "task", cell: ({ task }) => task },
  { heading: "length", align: "right", cell: ({ length }) => length },
  { heading: "model", cell: ({ path }) => path },
  {
    heading: "teacher-forced",
    align: "right",
    cell: ({ teacherForced, items }) => `${teacherForced}/${items}`,
  },
  {
    heading: "greedy",
    align: "right",
    cell: ({ greedy, items }) => (greedy === undefined ? "" : `${greedy}/${items}`),
  },
  { heading: "tokens", align: "right", cell: ({ accuracy }) => formatPercent(accuracy) },
];

const LEGEND =
  "Exact answers: every token the first choice after the true ones before it, and decoded greedily. Tokens: the share that is right, teacher-forced.";

/** Exact answers as a table, models in turn for each task and length, all together last. */
export function renderRetrieval({ models }: probeRetrieval.Result, colours: Colours): string {
  const rows = (models[0]?.groups ?? []).flatMap((_, index) =>
    models.map((model): Row => {
      const group = model.groups[index]!;
      return { ...group, path: nameOf(model), length: String(group.length) };
    }),
  );
  const totals = models.map((model): Row => ({ ...model.all, path: nameOf(model), task: "all", length: "" }));
  return `${renderTable([...rows, ...totals], columns, colours)}\n\n${colours.dim(LEGEND)}`;
}

/** A model, and under policies what they are and the share of tokens that they leave. */
const nameOf = ({ path, cache, held }: probeRetrieval.Probe): string =>
  cache === undefined ? path : `${path}, ${cache} (${formatPercent(held!)} held)`;
