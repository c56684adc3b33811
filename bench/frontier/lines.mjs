/** Results as lines of JSON, which several processes add to. A line that a killed process left unfinished is passed over. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";

export function readLines(path) {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8").split("\n").flatMap(parseLine);
}

function parseLine(line) {
  try {
    return line === "" ? [] : [JSON.parse(line)];
  } catch {
    return [];
  }
}

/** Begins on a line of its own, whatever was written before. */
export const appendLines = (path, lines) =>
  appendFileSync(path, `\n${lines.map((line) => JSON.stringify(line)).join("\n")}\n`);
