import type { probeCopying } from "../jobs/probe-copying.js";
import type { Colours } from "../ui/terminal.js";
import { type Column, renderTable } from "./table.js";

type Probe = probeCopying.Result["models"][number];

/** Copy scores as a table: a row for each model, accuracy and nll for each distance. */
export function renderCopying({ models }: probeCopying.Result, colours: Colours): string {
  const distances = models[0]?.distances.map(({ distance }) => distance) ?? [];
  const columns: readonly Column<Probe>[] = [
    { heading: "model", cell: ({ path }) => path },
    ...distances.map((distance, index) => ({
      heading: `${distance} back`,
      align: "right" as const,
      cell: ({ distances: scores }: Probe) => {
        const { accuracy, nll } = scores[index]!;
        return `${(100 * accuracy).toFixed(1)} % (${nll.toFixed(2)})`;
      },
    })),
  ];
  return `${renderTable(models, columns, colours)}\n\nShare of repeated tokens that are the first choice (nll in nats), by distance.`;
}
