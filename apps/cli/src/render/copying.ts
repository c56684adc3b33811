import type { probeCopying } from "../jobs/probe-copying.js";
import type { Colours } from "../ui/terminal.js";
import { formatPercent } from "./format.js";
import { type Column, renderTable } from "./table.js";

type Row = probeCopying.Score & { readonly path: string };

const columns: readonly Column<Row>[] = [
  { heading: "distance", align: "right", cell: ({ distance }) => String(distance) },
  { heading: "model", cell: ({ path }) => path },
  { heading: "nll unseen", align: "right", cell: ({ control }) => control.nll.toFixed(3) },
  { heading: "seen", align: "right", cell: ({ nll }) => nll.toFixed(3) },
  { heading: "gain", align: "right", cell: formatGain },
  { heading: "ratio", align: "right", cell: ({ ratio }) => ratio.toFixed(2) },
  { heading: "accuracy unseen", align: "right", cell: ({ control }) => formatPercent(control.accuracy) },
  { heading: "seen", align: "right", cell: ({ accuracy }) => formatPercent(accuracy) },
];

const LEGENDS = {
  tokens: "Random tokens that come again after a gap",
  passages: "Passages of text that come again after a gap",
};

/** Copy scores as a table, models in turn at each distance. */
export function renderCopying({ repeat, models }: probeCopying.Result, colours: Colours): string {
  const rows = (models[0]?.distances ?? []).flatMap((_, index) =>
    models.map(({ path, distances }) => ({ path, ...distances[index]! })),
  );
  const legend = `${LEGENDS[repeat]}: seen, and unseen with others in place of the first occurrence. Gain in nats a token.`;
  return `${renderTable(rows, columns, colours)}\n\n${colours.dim(legend)}`;
}

function formatGain({ gain, gainError }: Row): string {
  return gainError === undefined ? gain.toFixed(3) : `${gain.toFixed(3)} ± ${gainError.toFixed(3)}`;
}
