import { readUtf8 } from "@kvfold/decoder/node";
import { CliError } from "../cli-error.js";

/**
 * The prompts of a UTF-8 file, one a line. Blank lines are skipped; spaces at either end belong to the prompt.
 *
 * @throws {CliError} `unreadable-file` for a missing file or a folder, `insufficient-text` for one of blank lines alone.
 * @throws {DecoderError} `malformed-checkpoint` for text that is not UTF-8.
 */
export async function readPromptLines(path: string): Promise<readonly PromptLine[]> {
  const text = await readUtf8(path);
  if (text === undefined) throw new CliError("unreadable-file", `--prompts ${path}: no such text file`);
  const lines = text.split(/\r?\n/).map((prompt, index) => ({ prompt, line: index + 1 }));
  const prompts = lines.filter(({ prompt }) => prompt.trim() !== "");
  if (prompts.length > 0) return prompts;
  throw new CliError("insufficient-text", `--prompts ${path} holds no prompt; write one on each line`);
}

interface PromptLine {
  readonly prompt: string;
  /** Of the file, from 1. */
  readonly line: number;
}
