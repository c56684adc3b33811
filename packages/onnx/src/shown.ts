/** A text of an untrusted file as a message may show it: quoted, and short whatever the file holds. */
export const shown = (text: string): string =>
  JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);

/** Dimensions as a message may show them. */
export const shownDims = (dims: readonly number[]): string =>
  `[${dims.slice(0, 8).join(", ")}${dims.length > 8 ? ", …" : ""}]`;
