/** What the lines of `frontier.mjs` come to, point by point. */

const TASKS = ["passkey", "records"];
const QUESTIONS = ["unknown", "known"];

/**
 * Points of measured lines: bytes as a share of the unfolded float32 cache; for each task and question how many of how many answers
 * are right; and the perplexity of prose as a ratio to the unfolded model with its whole cache, on the same windows.
 */
export function summarise(measured) {
  const lines = [...new Map(measured.map((line) => [keyOf(line), line])).values()];
  const whole = lines.filter(({ keep, cache }) => keep === "1" && cache === "none");
  const prose = new Map(whole.filter(({ task }) => task === "prose").map((line) => [line.item, line]));
  const names = [...new Set(lines.map(nameOf))];
  const groups = names.map((name) => lines.filter((line) => nameOf(line) === name));
  return groups.map((own) => ({
    keep: own[0].keep,
    cache: own[0].cache,
    bytes: round(
      mean(own.map(({ held, bytesPerToken }) => (held * bytesPerToken) / whole[0].bytesPerToken)),
      5,
    ),
    ...Object.fromEntries(TASKS.map((task) => [task, answersOf(own.filter((line) => line.task === task))])),
    ...proseOf(own, prose),
  }));
}

/** What a line is of: a cache, and a question about an item. */
export const keyOf = ({ keep, cache, task, item, question }) => [keep, cache, task, item, question].join(" ");

const nameOf = ({ keep, cache }) => `${keep} ${cache}`;

const answersOf = (lines) =>
  Object.fromEntries(
    QUESTIONS.map((question) => {
      const asked = lines.filter((line) => line.question === question);
      return [
        question,
        { right: asked.filter(({ hits, tokens }) => hits === tokens).length, of: asked.length },
      ];
    }),
  );

function proseOf(lines, whole) {
  const windows = lines.filter(({ task, item }) => task === "prose" && whole.has(item));
  if (windows.length === 0) return { windows: 0 };
  const excess = windows.reduce((sum, { item, nll }) => sum + nll - whole.get(item).nll, 0);
  const tokens = windows.reduce((sum, line) => sum + line.tokens, 0);
  return { windows: windows.length, prose: round(Math.exp(excess / tokens), 5) };
}

/** Share of right answers over all tasks, 0 to 1; undefined where none was measured. */
export function answers(point, question) {
  const own = TASKS.map((task) => point[task][question]);
  const of = own.reduce((sum, part) => sum + part.of, 0);
  return of === 0 ? undefined : own.reduce((sum, { right }) => sum + right, 0) / of;
}

/** Which of folds, policies and bits a point has. */
export function kindOf({ keep, cache }) {
  const parts = cache.split(",");
  const hasBits = parts.some((part) => part.startsWith("int"));
  const hasPolicy = parts.some((part) => !part.startsWith("int") && part !== "none");
  const kinds = [keep !== "1" && "fold", hasPolicy && "policy", hasBits && "bits"].filter(Boolean);
  return kinds.join(" + ") || "whole";
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const round = (value, digits) => Number(value.toFixed(digits));
