/** The documents against the program: each command line in them is one that it takes, and the manual knows every option. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { CommandHost } from "../src/commands/host.js";
import { createProgram } from "../src/program.js";
import { coloursFor } from "../src/ui/terminal.js";

const repository = fileURLToPath(new URL("../../../", import.meta.url));
const readDocument = (path: string): string => readFileSync(`${repository}${path}`, "utf8");

/** Does nothing, and answers every job with an empty result. */
const idleHost = {
  colours: coloursFor({ isTTY: false }),
  write: () => {},
  run: async () => ({}),
} as unknown as CommandHost;

const manual = readDocument("docs/cli.md");
const documents = [
  "README.md",
  "apps/cli/README.md",
  "docs/cli.md",
  "docs/llama-cpp.md",
  "examples/cluster/README.md",
];

/** Command lines between code fences, with or without a prompt before them. */
const commandLines = (text: string): string[] =>
  [...text.matchAll(/^```(?:sh|console)\n((?:.*\n)*?)```/gm)].flatMap(([, code = ""]) =>
    [...code.matchAll(/^(?:\$ )?kvfold (.*)$/gm)].map(([, line = ""]) => line.replace(/\s+#.*$/, "")),
  );

const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");

describe.each(documents)("%s", (path) => {
  it.each(commandLines(readDocument(path)))("kvfold %s", async (line) => {
    const args = [...wordsOf(line), "--json"];
    await expect(createProgram(idleHost).parseAsync(args, { from: "user" })).resolves.toBeDefined();
  });
});

it("finds the command lines", () => {
  expect(commandLines("```sh\nkvfold a -b  # why\nnpm x\n```\n```console\n$ kvfold c\nd\n```\n")).toEqual([
    "a -b",
    "c",
  ]);
  expect(wordsOf('a "b c" --d')).toEqual(["a", "b c", "--d"]);
});

/** Commands that a document's table of commands has, with or without a link. */
const commandsOf = (text: string): string[] =>
  [...text.matchAll(/^\| \[?`([a-z-]+)`(?:\]\(#[a-z-]+\))? +\| \S/gm)].map(([, name = ""]) => name);

it.each(["apps/cli/README.md", "docs/cli.md"])("%s has a line for every command", (path) => {
  const names = createProgram(idleHost).commands.map((command) => command.name());
  expect(commandsOf(readDocument(path))).toEqual(expect.arrayContaining(names));
});

it("the manual has every option", () => {
  const options = createProgram(idleHost).commands.flatMap(({ options: own }) => own.map(({ long }) => long));
  const missing = options.filter((option) => !new RegExp(`${option}(?![\\w-])`).test(manual));
  expect([...new Set(missing)]).toEqual([]);
});
