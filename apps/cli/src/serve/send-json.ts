import type { ServerResponse } from "node:http";
import { errorBody, type HttpError } from "./http-error.js";

/** Answers with an error, unless the client is gone or has its answer. */
export const sendError = (response: ServerResponse, error: HttpError): void =>
  sendJson(response, error.status, errorBody(error), error.headers);

/** Answers with JSON, unless the client is gone or has its answer. */
export function sendJson(
  response: ServerResponse,
  status: number,
  value: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed || response.headersSent) return;
  const body = JSON.stringify(value);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}
