import { readUtf8 } from "@kvfold/decoder/node";
import { CliError } from "../cli-error.js";
import { shortMessage } from "../short-message.js";

/**
 * The JSON object that a file holds, or `undefined` when there is no such file.
 *
 * @throws {CliError} `malformed-file` when it is not JSON, or something else than an object.
 * @throws {DecoderError} as `readUtf8`.
 */
export async function readJsonObject(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await readUtf8(path);
  if (text === undefined) return undefined;
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null) return json as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw new CliError("malformed-file", `${path} is not JSON (${shortMessage(cause)})`, { cause });
  }
  throw new CliError("malformed-file", `${path} does not hold a JSON object`);
}
