import picocolors from "picocolors";

/** Functions that colour text, or leave it alone. */
export interface Colours {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
}

/** Colours for a stream: only on a terminal, and not where NO_COLOR asks for none. */
export function coloursFor(
  { isTTY }: Pick<NodeJS.WriteStream, "isTTY">,
  environment: NodeJS.ProcessEnv = process.env,
): Colours {
  return picocolors.createColors(isTTY === true && !environment.NO_COLOR);
}
