import { type BootstrapEstimate, formatBytes } from "@kvfold/runtime";
import type { evaluateModels } from "../jobs/evaluate.js";
import type { Figures } from "../jobs/evaluation-figures.js";
import type { Colours } from "../ui/terminal.js";
import { formatPercent, formatRatio } from "./format.js";
import { type Column, renderTable } from "./table.js";

export declare namespace renderEvaluation {
  interface Options {
    /** Tables to print below the one of perplexities. */
    readonly tables: readonly "positions"[];
  }
}

/** A row of any of the tables: figures of a model, the first or one beside it. */
interface Row extends Figures {
  readonly path: string;
  readonly isFirst: boolean;
}

/** Perplexities as a table, and below it one of shifts, of positions and of key tokens where they were asked for. */
export function renderEvaluation(
  result: evaluateModels.Result,
  { tables }: renderEvaluation.Options,
  colours: Colours,
): string {
  return [
    renderPerplexities(result, colours),
    ...renderShifts(result, colours),
    ...(tables.includes("positions") ? [renderPositions(result, colours)] : []),
    ...renderKeyTokens(result, colours),
  ].join("\n\n");
}

const right = <R>(heading: string, cell: (row: R) => string): Column<R> => ({
  heading,
  align: "right",
  cell,
});
const modelColumn: Column<Row> = { heading: "model", cell: ({ path }) => path };
const perplexityColumn = right<Row>("perplexity", ({ perplexity, bootstrap }) =>
  withError(perplexity, bootstrap.perplexity, 3),
);
const ratioColumn = right<Row>("ratio", ({ ratio, bootstrap, isFirst }) =>
  isFirst ? formatRatio(ratio) : withError(ratio, bootstrap.ratio, 4),
);

/** What only pairs of models have. */
const divergenceColumns: readonly Column<Row>[] = [
  right("KL", ({ kl }) => kl?.toFixed(4) ?? ""),
  right("changed", ({ changedChoices }) =>
    changedChoices === undefined ? "" : formatPercent(changedChoices),
  ),
];

const divergencesOf = (rows: readonly Row[]): readonly Column<Row>[] =>
  rows.some(({ kl }) => kl !== undefined) ? divergenceColumns : [];

function renderPerplexities({ models, windows }: evaluateModels.Result, colours: Colours): string {
  const rows = models.map((model, index) => ({ ...model, isFirst: index === 0 }));
  const table = renderTable(
    rows,
    [
      modelColumn,
      right("nll", ({ nll }) => nll.toFixed(4)),
      perplexityColumn,
      ratioColumn,
      ...divergencesOf(rows),
      right("tokens", ({ tokens }) => String(tokens)),
      right("cache/token", ({ cacheBytesPerToken }) => formatBytes(cacheBytesPerToken)),
    ],
    colours,
  );
  const legend = [
    ...(windows < 2 ? [] : [`±: standard error, by drawing the ${windows} windows 1000 times.`]),
    ...(divergencesOf(rows).length === 0 ? [] : [DIVERGENCE_LEGEND]),
  ].join(" ");
  return legend === "" ? table : `${table}\n\n${colours.dim(legend)}`;
}

const DIVERGENCE_LEGEND =
  "KL: from the first model's predictions, nats a token. Changed: share of tokens at which the first choice is another than the first model's.";

function renderShifts({ models }: evaluateModels.Result, colours: Colours): readonly string[] {
  const rows = (models[0]!.shifts ?? []).flatMap((_, at) =>
    models.map(({ path, shifts }, index) => ({ path, isFirst: index === 0, ...shifts![at]! })),
  );
  if (rows.length === 0) return [];
  const table = renderTable(
    rows,
    [
      right("shift", ({ shift }) => String(shift)),
      modelColumn,
      perplexityColumn,
      right("to shift 0", ({ change }) => formatRatio(change)),
      ratioColumn,
      ...divergencesOf(rows),
    ],
    colours,
  );
  return [`${table}\n\n${colours.dim("The same windows, their positions counted from the shift on.")}`];
}

function renderPositions({ models }: evaluateModels.Result, colours: Colours): string {
  const rows = models[0]!.positions.flatMap((_, at) =>
    models.map(({ path, positions }, index) => ({ path, isFirst: index === 0, ...positions[at]! })),
  );
  return renderTable(
    rows,
    [
      right("positions", ({ start, end }) => `${start}-${end - 1}`),
      modelColumn,
      right("nll", ({ nll }) => nll.toFixed(4)),
      ratioColumn,
      right("tokens", ({ tokens }) => String(tokens)),
    ],
    colours,
  );
}

/** Fewer key tokens give a figure that another text would change much. */
const FEW_KEY_TOKENS = 100;

function renderKeyTokens({ models, keyTokens }: evaluateModels.Result, colours: Colours): readonly string[] {
  if (keyTokens === undefined) return [];
  const { tokens, shortContext } = keyTokens;
  const share = formatPercent(tokens / models[0]!.tokens);
  const few = tokens < FEW_KEY_TOKENS ? " So few say little: take more windows, or a shorter context." : "";
  const legend = `LongPPL: perplexity over the ${tokens} tokens (${share}) that the first model predicts well, but 2 nats worse from the ${shortContext} tokens before them.${few}`;
  const rows = models.flatMap(({ path, keyTokens: figures }, index) =>
    figures === undefined ? [] : [{ path, isFirst: index === 0, ...figures }],
  );
  if (rows.length === 0) return [colours.dim(legend)];
  const columns = [modelColumn, { ...perplexityColumn, heading: "LongPPL" }, ratioColumn];
  return [`${renderTable(rows, columns, colours)}\n\n${colours.dim(legend)}`];
}

/** `1.0426 ± 0.0012`. */
function withError(value: number, estimate: BootstrapEstimate | undefined, digits: number): string {
  if (estimate === undefined) return value.toFixed(digits);
  return `${value.toFixed(digits)} ± ${estimate.error.toFixed(digits)}`;
}
