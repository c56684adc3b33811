import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  bytesSource,
  encodeFloats,
  parseHeader,
  readFloats,
  serializeSafetensors,
} from "@kvfold/safetensors";
import { type Checkpoint, openCheckpoint } from "../../src/index.js";
import { memoryFolder } from "../reference/synthetic-checkpoint.js";
import { familyFolder } from "./families.js";

export interface TensorValues {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Tensors of a checkpoint by name. */
export type Tensors = ReadonlyMap<string, TensorValues>;

/** All tensors of one of the tiny models. */
export async function readTensors(name: string): Promise<Tensors> {
  const source = bytesSource(readFileSync(join(familyFolder(name), "model.safetensors")));
  const { tensors } = await parseHeader(source);
  const values = new Map<string, TensorValues>();
  for (const [tensor, info] of tensors) {
    values.set(tensor, { shape: info.shape, data: await readFloats(source, info) });
  }
  return values;
}

/** These tensors as a file. */
export const safetensorsOf = (tensors: Tensors): Uint8Array =>
  serializeSafetensors(
    [...tensors].map(([name, { shape, data }]) => ({
      name,
      dtype: "F32",
      shape,
      data: encodeFloats(data, "F32"),
    })),
  );

/** A checkpoint of these tensors, in memory. */
export function openTensors(
  fields: Readonly<Record<string, unknown>>,
  tensors: Tensors,
  options: openCheckpoint.Options = {},
): Promise<Checkpoint> {
  return openCheckpoint(
    memoryFolder(
      new Map<string, string | Uint8Array>([
        ["config.json", JSON.stringify(fields)],
        ["model.safetensors", safetensorsOf(tensors)],
      ]),
    ),
    options,
  );
}

/** The same tensors with other values: `change` sees each, and says what stands in its place. */
export function mapTensors(
  tensors: Tensors,
  change: (name: string, tensor: TensorValues) => readonly (readonly [name: string, TensorValues])[],
): Tensors {
  return new Map([...tensors].flatMap(([name, tensor]) => change(name, tensor)));
}

/** Matrices of as many columns on top of each other. */
export function stackRows(parts: readonly TensorValues[]): TensorValues {
  const columns = parts[0]!.shape[1]!;
  const data = Float32Array.from(parts.flatMap((part) => [...part.data]));
  return { shape: [data.length / columns, columns], data };
}

/** Rows `[start, end)` of a matrix. */
export function sliceRows({ shape, data }: TensorValues, start: number, end: number): TensorValues {
  const columns = shape[1]!;
  return { shape: [end - start, columns], data: data.slice(start * columns, end * columns) };
}

export const scaled = ({ shape, data }: TensorValues, factor: number): TensorValues => ({
  shape,
  data: data.map((value) => value * factor),
});

export const shifted = ({ shape, data }: TensorValues, offset: number): TensorValues => ({
  shape,
  data: data.map((value) => value + offset),
});
