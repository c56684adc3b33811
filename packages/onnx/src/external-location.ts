import { OnnxError, type OnnxErrorCode } from "./onnx-error.js";
import { shown } from "./shown.js";

/** Where the bytes of an initializer lie outside the model file (ONNX external data). */
export interface ExternalLocation {
  /** Path of a file, relative to the model's folder and inside it, with slashes. */
  readonly path: string;
  /** Bytes before the tensor in that file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** A backslash separates on Windows, and no file's name has a control character. */
const forbidden = /[\\\p{Cc}]/u;

/** `https:`, `file:`, but also the drive `C:`. */
const scheme = /^[a-z][a-z\d+.-]*:/i;

/**
 * Makes sure that a location stays in the model's folder. A model is untrusted, and its locations become paths and
 * addresses: one that is absolute or climbs could read any file, or ask any server.
 *
 * @throws {OnnxError} `code` when it does not.
 */
export function requireInside(code: OnnxErrorCode, what: string, path: string): void {
  const segments = path.split("/");
  const climbs = segments.some((segment) => ["", ".", ".."].includes(segment));
  if (!climbs && !forbidden.test(path) && !scheme.test(path)) return;
  throw new OnnxError(
    code,
    `${what}: expected the location of external data to be a path inside the model's folder, found ${shown(path)}`,
  );
}

/** The location that a tensor of a model that was read gives, `expectedBytes` long where its type is known. */
export function parseLocation(
  what: string,
  entries: ReadonlyMap<string, string>,
  expectedBytes: number | undefined,
): ExternalLocation {
  const path = entries.get("location");
  if (path === undefined)
    throw new OnnxError("malformed-model", `${what}: expected external data to name a file, found none`);
  requireInside("malformed-model", what, path);
  const offset = parseBytes(what, "offset", entries.get("offset") ?? "0");
  const length = entries.get("length") ?? `${expectedBytes ?? ""}`;
  const byteLength = parseBytes(what, "length", length);
  if (expectedBytes === undefined || byteLength === expectedBytes) return { path, offset, byteLength };
  throw new OnnxError(
    "malformed-model",
    `${what}: expected external data of ${expectedBytes} bytes for its type and dimensions, found ${byteLength}`,
  );
}

function parseBytes(what: string, key: string, text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(count)) return count;
  throw new OnnxError(
    "malformed-model",
    `${what}: expected the ${key} of external data to be a number of bytes, found ${shown(text)}`,
  );
}
