import { type Dtype, isDtype, isDtypeName } from "../dtype.js";
import { SafetensorsError } from "../safetensors-error.js";
import { isDimension, type TensorInfo, tensorBytes } from "../tensor-info.js";
import { describe, membersOf } from "./parse-json-object.js";

const fields = ["dtype", "shape", "data_offsets"] as const;

/** One entry of the header, with offsets made absolute; `dataBytes` is the length of the file's data. */
export function parseTensorInfo(
  name: string,
  entry: unknown,
  dataStart: number,
  dataBytes: number,
): TensorInfo {
  const members = membersOf(entry);
  if (
    members === undefined ||
    members.size !== fields.length ||
    fields.some((field) => !members.has(field))
  ) {
    throw malformed(
      name,
      "an object with exactly dtype, shape and data_offsets",
      describeFields(entry, members),
    );
  }
  const dtype = members.get("dtype");
  if (!isDtypeName(dtype)) throw malformed(name, "dtype to be a name such as F32", describe(dtype));
  const shape = parseShape(name, members.get("shape"));
  const [start, end] = parseOffsets(name, members.get("data_offsets"), dataBytes);
  if (isDtype(dtype)) requireBytes(name, dtype, shape, end - start);
  return { name, dtype, shape, start: dataStart + start, end: dataStart + end };
}

function requireBytes(name: string, dtype: Dtype, shape: readonly number[], expected: number): void {
  const bytes = tensorBytes(dtype, shape);
  if (bytes === expected) return;
  const found = bytes === undefined ? "more than 2^53" : `${bytes}`;
  throw malformed(
    name,
    `${expected} bytes as its offsets say`,
    `${found} for ${dtype} of [${preview(shape)}]`,
  );
}

function parseShape(name: string, value: unknown): readonly number[] {
  if (!Array.isArray(value)) throw malformed(name, "shape to be an array", describe(value));
  const invalid = value.findIndex((dim) => !isDimension(dim));
  if (invalid !== -1)
    throw malformed(name, `dimension ${invalid} to be an integer below 2^53`, describe(value[invalid]));
  return value;
}

function parseOffsets(name: string, value: unknown, dataBytes: number): readonly [number, number] {
  const [start, end, ...rest]: unknown[] = Array.isArray(value) ? value : [];
  if (isDimension(start) && isDimension(end) && rest.length === 0 && start <= end && end <= dataBytes)
    return [start, end];
  const found = Array.isArray(value) ? `[${preview(value)}]` : describe(value);
  throw malformed(
    name,
    `data_offsets [start, end) within ${dataBytes} bytes of data`,
    `${found}; is the file complete?`,
  );
}

const malformed = (name: string, expected: string, found: string) =>
  new SafetensorsError("malformed", `tensor ${describe(name)}: expected ${expected}, found ${found}`);

const describeFields = (entry: unknown, members: Map<string, unknown> | undefined) =>
  members === undefined ? describe(entry) : `{ ${preview([...members.keys()])} }`;

/** The first few items, so that a hostile array does not become a message of megabytes. */
function preview(items: readonly unknown[]): string {
  const shown = items.slice(0, 8).map(describe).join(", ");
  return items.length > 8 ? `${shown}, …` : shown;
}
