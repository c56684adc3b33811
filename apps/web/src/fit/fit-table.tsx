import type { FittedContext } from "@kvfold/converter";
import { formatBytes } from "@kvfold/runtime";
import type { Fit, FitQuestion } from "./calculate-fit.js";

interface Props {
  readonly name: string;
  readonly question: FitQuestion;
  readonly fit: Fit;
}

/** A row for each share of the cache: as it is, and in int8. */
export function FitTable({ name, question: { limit }, fit }: Props) {
  const { rows, maxPositions, weightBytes, family } = fit;
  const isMemory = "memory" in limit;
  const cell = ({ tokens, bytes }: FittedContext) =>
    isMemory ? `${formatTokens(tokens)}${tokens > maxPositions ? " *" : ""}` : formatBytes(bytes);
  const exceeds = isMemory && rows.some(({ int8 }) => int8.tokens > maxPositions);
  return (
    <>
      <table class="fit">
        <caption>
          {isMemory
            ? `Tokens of context that fit into ${formatBytes(limit.memory)} beside the weights of ${name}`
            : `Memory for ${name} and a context of ${formatTokens(limit.context)} tokens`}
        </caption>
        <thead>
          <tr>
            <th scope="col">cache kept</th>
            <th scope="col">cache in {rows[0]!.whole.cacheType}</th>
            <th scope="col">cache in int8</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ keep, whole, int8 }) => (
            <tr key={keep}>
              <th scope="row">{keep === "1" ? "all: the original" : `${keep}: folded`}</th>
              <td>{cell(whole)}</td>
              <td>{cell(int8)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint">
        {family}: {formatBytes(weightBytes)} of weights, a context of {formatTokens(maxPositions)} tokens.
        {exceeds && " *: more than that."} Activations, and what the runtime takes for itself, come on top.
      </p>
    </>
  );
}

const formatTokens = (tokens: number): string => tokens.toLocaleString("en-US");
