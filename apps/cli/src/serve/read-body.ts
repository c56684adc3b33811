import type { IncomingMessage } from "node:http";
import { HttpError } from "./http-error.js";

/**
 * The JSON of a request's body.
 *
 * @throws {HttpError} 415 for another type, 413 for a body that is too long, 400 for what is not JSON in UTF-8.
 */
export async function readJsonBody(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  // Web pages of other sites can send other types without asking, and not this one.
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? ""))
    throw new HttpError(415, "expected content-type application/json");
  if (request.headers["content-encoding"] !== undefined)
    throw new HttpError(415, "bodies are not decompressed here; leave out content-encoding");
  const bytes = await readBytes(request, maxBytes);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch {
    throw new HttpError(400, "the body is not JSON in UTF-8");
  }
}

async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const tooLong = () =>
    new HttpError(413, `the body has more than ${maxBytes} bytes`, { headers: { connection: "close" } });
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLong();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.byteLength;
    if (length > maxBytes) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
