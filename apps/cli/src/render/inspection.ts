import { formatBytes } from "@kvfold/runtime";
import type { inspectModel } from "../jobs/inspect.js";
import type { LayerEnergy } from "../jobs/measure-energy.js";
import type { Colours } from "../ui/terminal.js";
import { formatFraction, formatPercent } from "./format.js";
import { describeKeptShare } from "./kept-share.js";
import { renderLostEnergy } from "./lost-energy.js";
import { type Column, renderPairs, renderTable } from "./table.js";

/** A model's description for people, with the table of energies where they were measured. */
export function renderInspection(inspection: inspectModel.Result, colours: Colours): string {
  const { energy } = inspection;
  const description = renderPairs(describe(inspection));
  if (energy === undefined) return description;
  const title = `Energy in the top directions (${energy.windows} windows of ${energy.window} tokens)`;
  const table = renderTable(energy.layers, energyColumns(energy), colours);
  return [description, `${title}\n${table}`, renderLostEnergy(energy, colours)].join("\n\n");
}

function describe({ kind, cache, ...model }: inspectModel.Result): readonly (readonly [string, string])[] {
  const { bytesPerToken, bytesAtFullContext, type } = cache;
  const queryHeads = model.heads === null ? "" : `${model.heads} query heads, `;
  return [
    ["model", model.path],
    ["kind", kind === "onnx" ? "ONNX graph" : "Hugging Face checkpoint"],
    ["family", model.family],
    ["layers", String(model.layers)],
    ["heads", `${queryHeads}${model.kvHeads ?? "various"} KV heads of ${model.headDim ?? "various sizes"}`],
    ["context", model.maxPositions === null ? "unlimited" : `${model.maxPositions} tokens`],
    ["cache per token", `${formatBytes(bytesPerToken)} (${type})`],
    ["cache at full context", bytesAtFullContext === null ? "unlimited" : formatBytes(bytesAtFullContext)],
    ...(model.kept === undefined
      ? []
      : [["kept of the original's", `${model.kept.keep}: ${describeKeptShare(model.kept)}`] as const]),
  ];
}

const series: readonly (readonly [string, (energy: LayerEnergy) => readonly number[] | null])[] = [
  ["keys before RoPE", ({ keysBeforeRope }) => keysBeforeRope],
  ["keys", ({ keys }) => keys],
  ["values", ({ values }) => values],
];

function energyColumns({ fractions, layers }: inspectModel.Energy): readonly Column<LayerEnergy>[] {
  const measured = series.filter(([, shares]) => layers.every((energy) => shares(energy) !== null));
  return [
    { heading: "layer", align: "right", cell: ({ layer }) => String(layer) },
    ...measured.flatMap(([name, shares]) =>
      fractions.map((fraction, index) => ({
        heading: index === 0 ? `${name} ${formatFraction(fraction)}` : formatFraction(fraction),
        align: "right" as const,
        cell: (energy: LayerEnergy) => formatPercent(shares(energy)![index]!),
      })),
    ),
  ];
}
