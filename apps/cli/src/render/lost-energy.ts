import type { LostEnergy } from "@kvfold/converter/internals";
import type { inspectModel } from "../jobs/inspect.js";
import type { Colours } from "../ui/terminal.js";
import { formatFraction, formatPercent } from "./format.js";
import { describeChunk } from "./plan.js";
import { type Column, renderTable } from "./table.js";

/** Latents that are compared, by what they are called. */
export interface LatentSeries {
  readonly name: string;
  readonly lost: (energy: LostEnergy) => readonly number[] | null;
}

/** Those that mean something for the model: without RoPE, nothing turns within chunks. */
export const latentSeries = ({ lost }: Pick<inspectModel.Energy, "lost">): readonly LatentSeries[] => [
  { name: "apart", lost: ({ apart }) => apart },
  { name: "joint", lost: ({ joint }) => joint },
  ...(lost.unturned === null
    ? []
    : [{ name: "joint, chunk 1", lost: ({ unturned, joint }: LostEnergy) => unturned ?? joint }]),
];

interface Row {
  readonly name: string;
  readonly lost: LostEnergy;
}

/** A table of what latents lose, by layer and of all layers. */
export function renderLostEnergy(energy: inspectModel.Energy, colours: Colours): string {
  const rows: readonly Row[] = [
    ...energy.layers.map(({ layer, lost }) => ({ name: String(layer), lost })),
    { name: "all", lost: energy.lost },
  ];
  const columns: readonly Column<Row>[] = [
    { heading: "layer", align: "right", cell: ({ name }) => name },
    ...latentSeries(energy).flatMap(({ name, lost }) =>
      energy.fractions.map((fraction, index) => ({
        heading: index === 0 ? `${name} ${formatFraction(fraction)}` : formatFraction(fraction),
        align: "right" as const,
        cell: (row: Row) => formatPercent(lost(row.lost)![index]!),
      })),
    ),
  ];
  return [...explain(energy), renderTable(rows, columns, colours)].join("\n");
}

/** What the columns are; lines short enough for a terminal. */
function explain(energy: inspectModel.Energy): readonly string[] {
  const title = "Energy lost where so much of the cache is kept; keys and values count half each";
  if (energy.lost.unturned === null)
    return [title, "apart: keys and values in latents of their own; joint: in one latent"];
  return [
    title,
    "apart: keys after RoPE and values in latents of their own; joint: keys before RoPE and values in one latent,",
    `keys turned within chunks (${describeChunk(energy.chunk)}), or not at all (chunk 1)`,
  ];
}
