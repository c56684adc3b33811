import { type benchModels, type evaluateModels, formatBytes, formatRatio, renderTable } from "kvfold/jobs";

/** What was measured of one model. */
export interface DemoRow extends evaluateModels.Evaluation {
  readonly keep: string;
  readonly decode: benchModels.Speed;
}

/** The context of the embedded model. */
const FULL_CONTEXT = 1024;

/** Original and folded models, one a line; ratios are to the original. */
export const renderDemoTable = (rows: readonly DemoRow[]): string =>
  renderTable(rows, [
    { heading: "keep", cell: ({ keep }) => (keep === "1" ? "1 (original)" : keep) },
    { heading: "cache/token", align: "right", cell: (row) => formatBytes(row.cacheBytesPerToken) },
    {
      heading: `at ${FULL_CONTEXT} tokens`,
      align: "right",
      cell: (row) => formatBytes(FULL_CONTEXT * row.cacheBytesPerToken),
    },
    { heading: "perplexity", align: "right", cell: ({ perplexity }) => perplexity.toFixed(2) },
    { heading: "ratio", align: "right", cell: ({ ratio }) => formatRatio(ratio) },
    { heading: "decode tok/s", align: "right", cell: ({ decode }) => decode.tokensPerSecond.toFixed(0) },
    {
      heading: "ratio",
      align: "right",
      cell: ({ decode }) => (decode.ratio === null ? "-" : `${decode.ratio.toFixed(2)}x`),
    },
  ]);
