import type { evaluatePolicies } from "../jobs/evaluate-policies.js";
import type { Colours } from "../ui/terminal.js";
import { formatPercent, formatRatio } from "./format.js";
import { type Column, renderTable } from "./table.js";

const columns: readonly Column<evaluatePolicies.Continuation>[] = [
  { heading: "model", cell: ({ path }) => path },
  { heading: "cache", cell: ({ cache }) => cache ?? "whole" },
  { heading: "held", align: "right", cell: ({ held }) => formatPercent(held) },
  { heading: "nll", align: "right", cell: ({ nll }) => nll.toFixed(4) },
  { heading: "perplexity", align: "right", cell: ({ perplexity }) => perplexity.toFixed(3) },
  { heading: "ratio", align: "right", cell: ({ ratio }) => formatRatio(ratio) },
  { heading: "tokens", align: "right", cell: ({ tokens }) => String(tokens) },
];

const LEGEND =
  "The second half of each window, predicted after its first half, whose cache was compressed. Ratios are to the first line.";

/** Perplexity of continued text as a table, a line for each model and list of policies. */
export const renderContinuations = ({ continuations }: evaluatePolicies.Result, colours: Colours): string =>
  `${renderTable(continuations, columns, colours)}\n\n${colours.dim(LEGEND)}`;
