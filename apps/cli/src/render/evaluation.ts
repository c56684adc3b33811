import { formatBytes } from "@kvfold/runtime";
import type { evaluateModels } from "../jobs/evaluate.js";
import type { Colours } from "../ui/terminal.js";
import { formatRatio } from "./format.js";
import { renderTable } from "./table.js";

/** Perplexities as a table. */
export const renderEvaluation = ({ models }: evaluateModels.Result, colours: Colours): string =>
  renderTable(
    models,
    [
      { heading: "model", cell: ({ path }) => path },
      { heading: "nll", align: "right", cell: ({ nll }) => nll.toFixed(4) },
      { heading: "perplexity", align: "right", cell: ({ perplexity }) => perplexity.toFixed(3) },
      { heading: "ratio", align: "right", cell: ({ ratio }) => formatRatio(ratio) },
      { heading: "tokens", align: "right", cell: ({ tokens }) => String(tokens) },
      {
        heading: "cache/token",
        align: "right",
        cell: ({ cacheBytesPerToken }) => formatBytes(cacheBytesPerToken),
      },
    ],
    colours,
  );
