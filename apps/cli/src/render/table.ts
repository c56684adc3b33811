import type { Colours } from "../ui/terminal.js";

/** A column of a table: its heading, and its cell in a row. */
export interface Column<Row> {
  readonly heading: string;
  readonly align?: "left" | "right";
  readonly cell: (row: Row) => string;
}

const GAP = "  ";

/** Rows as aligned plain text, one line each below the headings. */
export function renderTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { bold }: Pick<Colours, "bold"> = { bold: (text) => text },
): string {
  const padded = columns.map(({ heading, align = "left", cell }) => {
    const cells = [heading, ...rows.map(cell)];
    const width = Math.max(...cells.map((text) => text.length));
    return cells.map((text) => (align === "left" ? text.padEnd(width) : text.padStart(width)));
  });
  const [headings, ...lines] = Array.from({ length: rows.length + 1 }, (_, line) =>
    padded
      .map((cells) => cells[line]!)
      .join(GAP)
      .trimEnd(),
  );
  return [bold(headings!), ...lines].join("\n");
}

/** Names and values, one pair a line. */
export function renderPairs(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(width)}${GAP}${value}`).join("\n");
}
