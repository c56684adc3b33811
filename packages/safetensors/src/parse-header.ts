import type { ByteSource } from "./byte-source.js";
import { isPointerFile, pointerError } from "./internal/git-lfs.js";
import { describe, membersOf, parseJsonObject } from "./internal/parse-json-object.js";
import { parseTensorInfo } from "./internal/parse-tensor-info.js";
import { scanJson } from "./internal/scan-json.js";
import { decodeUtf8 } from "./internal/text-codec.js";
import { HEADER_DEPTH, LENGTH_BYTES, MAX_HEADER_BYTES, MAX_MEMBER_COUNT, METADATA_NAME } from "./limits.js";
import { SafetensorsError } from "./safetensors-error.js";
import type { TensorInfo } from "./tensor-info.js";

/** What a safetensors file says about itself. */
export interface SafetensorsHeader {
  /** In the order of the header's JSON. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Absolute offset of the first tensor byte. */
  readonly dataStart: number;
}

/**
 * Reads and checks the header of a safetensors file; no tensor bytes are read.
 *
 * The file is untrusted: lengths, shapes and offsets are all checked, names must be unique, and tensors must cover the
 * data exactly, without overlaps or holes. A tensor of a dtype that this package does not know is listed, and refused when
 * it is decoded. Time and memory are linear in the header, whose length is limited.
 *
 * @throws {SafetensorsError} `truncated` when the file ends early, `limit-exceeded` beyond {@link MAX_HEADER_BYTES} or
 * {@link MAX_MEMBER_COUNT}, `malformed` for everything else.
 */
export async function parseHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const dataStart = LENGTH_BYTES + (await readHeaderLength(source));
  const text = decodeHeader(await source.read(LENGTH_BYTES, dataStart));
  const memberCount = requireModestStructure(text);
  const members = parseJsonObject("header", text);
  const metadata = parseMetadata(members.get(METADATA_NAME));
  const tensors = parseTensors(members, dataStart, source.byteLength - dataStart);
  requireUniqueNames(memberCount, members, Object.keys(metadata).length);
  requireExactCover([...tensors.values()], dataStart, source.byteLength);
  return { tensors, metadata, dataStart };
}

async function readHeaderLength(source: ByteSource): Promise<number> {
  if (source.byteLength < LENGTH_BYTES) {
    throw new SafetensorsError(
      "truncated",
      `expected a header length of ${LENGTH_BYTES} bytes, found a file of ${source.byteLength}`,
    );
  }
  const bytes = await source.read(0, LENGTH_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES);
  // Lengths from 2^53 on are rounded here, and refused all the same.
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (length > MAX_HEADER_BYTES) {
    if (await isPointerFile(source, bytes)) throw pointerError();
    throw new SafetensorsError(
      "limit-exceeded",
      `expected a header of at most ${MAX_HEADER_BYTES} bytes, found ${length}; is this a safetensors file?`,
    );
  }
  if (LENGTH_BYTES + length > source.byteLength) {
    throw new SafetensorsError(
      "truncated",
      `expected a header of ${length} bytes, found a file of ${source.byteLength}; fetch it again`,
    );
  }
  return length;
}

function decodeHeader(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text === undefined)
    throw new SafetensorsError("malformed", "header: expected UTF-8, found other bytes");
  if (text.startsWith("{")) return text;
  throw new SafetensorsError(
    "malformed",
    `header: expected it to begin with {, found ${describe(text.slice(0, 1))}`,
  );
}

/** How many names the text has; refuses what would take `JSON.parse` long. */
function requireModestStructure(text: string): number {
  const { memberCount, depth } = scanJson(text);
  if (depth > HEADER_DEPTH) {
    throw new SafetensorsError(
      "malformed",
      `header: expected at most ${HEADER_DEPTH} levels of nesting, found ${depth}`,
    );
  }
  if (memberCount <= MAX_MEMBER_COUNT) return memberCount;
  throw new SafetensorsError(
    "limit-exceeded",
    `header: expected at most ${MAX_MEMBER_COUNT} names, found ${memberCount}; split the file into shards`,
  );
}

function parseMetadata(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  const members = membersOf(value);
  if (members === undefined)
    throw new SafetensorsError("malformed", `${METADATA_NAME}: expected an object, found ${describe(value)}`);
  const entries = [...members].map(([key, text]): [string, string] => {
    if (typeof text === "string") return [key, text];
    throw new SafetensorsError(
      "malformed",
      `${METADATA_NAME}: expected ${describe(key)} to be a string, found ${describe(text)}`,
    );
  });
  // `fromEntries` defines properties where assignment would set the prototype for `__proto__`.
  return Object.fromEntries(entries);
}

function parseTensors(
  members: ReadonlyMap<string, unknown>,
  dataStart: number,
  dataBytes: number,
): Map<string, TensorInfo> {
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of members) {
    if (name !== METADATA_NAME) tensors.set(name, parseTensorInfo(name, entry, dataStart, dataBytes));
  }
  return tensors;
}

function requireUniqueNames(
  written: number,
  members: ReadonlyMap<string, unknown>,
  metadataCount: number,
): void {
  const tensorCount = members.size - (members.has(METADATA_NAME) ? 1 : 0);
  const kept = members.size + 3 * tensorCount + metadataCount;
  if (written === kept) return;
  throw new SafetensorsError(
    "malformed",
    `header: expected unique names, found ${written - kept} that repeat another; write the file again`,
  );
}

function requireExactCover(tensors: TensorInfo[], dataStart: number, dataEnd: number): void {
  tensors.sort((a, b) => a.start - b.start || a.end - b.end);
  let covered = dataStart;
  for (const { name, start, end } of tensors) {
    if (start !== covered) {
      const fault = start < covered ? "overlap" : "hole";
      throw new SafetensorsError(
        "malformed",
        `tensor ${describe(name)}: expected it to start at byte ${covered}, found ${start} (${fault})`,
      );
    }
    covered = end;
  }
  if (covered === dataEnd) return;
  throw new SafetensorsError(
    "malformed",
    `expected the file to end with its last tensor at byte ${covered}, found ${dataEnd} bytes`,
  );
}
