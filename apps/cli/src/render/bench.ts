import { formatBytes } from "@kvfold/runtime";
import type { benchModels } from "../jobs/bench.js";
import type { Colours } from "../ui/terminal.js";
import { formatRatio, formatSpeed } from "./format.js";
import { type Column, renderTable } from "./table.js";

type Row = benchModels.Measurement & Required<Pick<benchModels.Measurement, "cacheBytes">>;

const formatOptionalRatio = (ratio: number | null): string => (ratio === null ? "-" : formatRatio(ratio));

const columns: readonly Column<Row>[] = [
  { heading: "context", align: "right", cell: ({ context }) => String(context) },
  { heading: "model", cell: ({ path, cache }) => (cache === undefined ? path : `${path}, ${cache}`) },
  { heading: "cache", align: "right", cell: ({ cacheBytes }) => formatBytes(cacheBytes) },
  { heading: "prefill tok/s", align: "right", cell: ({ prefill }) => formatSpeed(prefill.tokensPerSecond) },
  { heading: "ratio", align: "right", cell: ({ prefill }) => formatOptionalRatio(prefill.ratio) },
  { heading: "decode tok/s", align: "right", cell: ({ decode }) => formatSpeed(decode.tokensPerSecond) },
  { heading: "ratio", align: "right", cell: ({ decode }) => formatOptionalRatio(decode.ratio) },
];

/** Speeds as a table, and a note for each context that a model has no room for. */
export function renderBench({ models, measurements, skipped }: benchModels.Result, colours: Colours): string {
  const bytesPerToken = new Map(models.map(({ path, cacheBytesPerToken }) => [path, cacheBytesPerToken]));
  const rows = measurements.map((row) => ({
    ...row,
    cacheBytes: row.cacheBytes ?? bytesPerToken.get(row.path)! * row.context,
  }));
  const notes = skipped.map(({ path, context, maxPositions }) =>
    colours.dim(`skipped ${path} at ${context}: its context ends at ${maxPositions}`),
  );
  return [renderTable(rows, columns, colours), ...notes].join("\n");
}
