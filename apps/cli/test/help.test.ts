import { describe, expect, it } from "vitest";
import type { CommandHost } from "../src/commands/host.js";
import { createProgram } from "../src/program.js";
import { coloursFor } from "../src/ui/terminal.js";

/** What `kvfold NAME --help` prints. */
async function helpOf(name: string): Promise<string> {
  const output: string[] = [];
  const host = {
    colours: coloursFor({ isTTY: false }),
    write: (text: string) => void output.push(text),
  } as unknown as CommandHost;
  // Commander ends a program that shows help by an error.
  await createProgram(host)
    .parseAsync([name, "--help"], { from: "user" })
    .catch(() => {});
  return output.join("");
}

const names = createProgram({} as CommandHost).commands.map((command) => command.name());

describe.each(names)("kvfold %s --help", (name) => {
  it("counts its examples in their heading", async () => {
    const [, heading, block = ""] = /^(Examples?):\n((?: {2}.*\n?)+)/m.exec(await helpOf(name)) ?? [];
    const examples = block.match(/^ {2}kvfold /gm)?.length;
    expect([heading, examples]).toEqual([examples === 1 ? "Example" : "Examples", expect.any(Number)]);
  });

  it("shows default values as they are typed", async () => {
    expect(await helpOf(name)).not.toMatch(/\(default: [[{"]/);
  });

  it("fills its lines, but for the last of a paragraph", async () => {
    const [, description = ""] = /^Usage: .*\n\n([\s\S]+?)\n\n/.exec(await helpOf(name)) ?? [];
    const lines = description.split("\n");
    const early = lines.filter((line, index) => {
      const [word = ""] = lines[index + 1]?.split(" ") ?? [];
      return word !== "" && !line.endsWith(".") && line.length + 1 + word.length <= 100;
    });
    expect(early).toEqual([]);
  });
});
