import type { FittedContext } from "@kvfold/converter";
import { formatBytes } from "@kvfold/runtime";
import type { fitModel } from "../jobs/fit.js";
import type { Colours } from "../ui/terminal.js";
import { type Column, renderTable } from "./table.js";

/** What fits, as a table: a row for each share of the cache, a column for each type of weights and of the cache. */
export function renderFit({ limit, rows, maxPositions, model }: fitModel.Result, colours: Colours): string {
  const shares = [...new Set(rows.map(({ keep }) => keep))].map((keep) =>
    rows.filter((row) => row.keep === keep),
  );
  const title =
    "memory" in limit
      ? `Tokens of context that fit into ${formatBytes(limit.memory)} beside the weights of ${model}`
      : `Memory for ${model} and a context of ${formatTokens(limit.context)} tokens`;
  const table = renderTable(shares, columnsOf(shares[0]!, "memory" in limit, maxPositions), colours);
  const notes = "memory" in limit ? [exceeds(rows, maxPositions)] : [];
  return [title, table, describeWeights(shares[0]!), ...notes.filter((note) => note !== ""), NOTES].join(
    "\n\n",
  );
}

type Share = readonly FittedContext[];

function columnsOf(first: Share, isMemory: boolean, maxPositions: number): readonly Column<Share>[] {
  const cell = ({ tokens, bytes }: FittedContext) =>
    isMemory ? `${formatTokens(tokens)}${tokens > maxPositions ? " *" : ""}` : formatBytes(bytes);
  return [
    { heading: "cache kept", cell: (share) => share[0]!.keep },
    ...first.map(({ dtype, cacheType }, index) => ({
      heading: `${dtype}, ${cacheType}`,
      align: "right" as const,
      cell: (share: Share) => cell(share[index]!),
    })),
  ];
}

const formatTokens = (tokens: number): string => tokens.toLocaleString("en-US");

function exceeds(rows: readonly FittedContext[], maxPositions: number): string {
  if (rows.every(({ tokens }) => tokens <= maxPositions)) return "";
  return `*: more than the model's own context of ${formatTokens(maxPositions)} tokens.`;
}

function describeWeights(first: Share): string {
  const sizes = new Map(first.map(({ dtype, weightBytes }) => [dtype, formatBytes(weightBytes)]));
  return `Weights: ${[...sizes].map(([dtype, size]) => `${size} in ${dtype}`).join(", ")}.`;
}

const NOTES =
  "Columns name the types of weights and of the cache. An int8 cache is that of fold --cache-bits 8, scales included.\nActivations and what the runtime takes for itself come on top.";
