import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { type PieceBuffers, pieceBuffers, writeStream } from "@kvfold/onnx";
import { encodeFloats, planHeader, SafetensorsError } from "@kvfold/safetensors";
import { readFully, writeFully, writeSafetensorsFile } from "@kvfold/safetensors/node";
import type { StoredTensor } from "../checkpoint/stored-tensor.js";
import { storedRows } from "../model/stored-pieces.js";
import type { TensorSink } from "../output/checkpoint-output.js";

interface Spooled {
  readonly name: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly byteLength: number;
}

/** Hugging Face loaders ask for this entry. */
const METADATA = { format: "pt" };

/**
 * Bytes that are left free for the header, which stands first and lists all tensors: about a thousand of them. A header may
 * end in spaces, so a shorter one takes all of it.
 */
const HEADER_ROOM = 2 ** 17;

/**
 * A safetensors file at `path` whose tensors come one at a time. They are written where they stay, in a file beside it that
 * takes its place at the end; memory is one tensor. Where the header turns out longer than its room, all bytes are copied.
 */
export async function spooledSafetensors(path: string, dtype: "F32" | "F16"): Promise<TensorSink> {
  const spoolPath = `${path}.spool`;
  const spool = await open(spoolPath, "wx+");
  const tensors: Spooled[] = [];
  const buffers = pieceBuffers();
  let end = HEADER_ROOM;
  return {
    takesStored: true,
    async add(tensor) {
      const { name, shape } = tensor;
      const start = end;
      await writeTensor(tensor, dtype, buffers, async (bytes) => {
        await writeFully(spool, bytes, end);
        end += bytes.byteLength;
      });
      tensors.push({ name, shape, start, byteLength: end - start });
    },
    async finish() {
      const layouts = tensors.map(({ name, shape }) => ({ name, shape, dtype }));
      const { bytes: header } = planHeader(layouts, METADATA);
      await requireLength(spool, spoolPath, end);
      if (header.byteLength > HEADER_ROOM) return copyOut(path, { spool, spoolPath, tensors, dtype });
      await writeFully(spool, padHeader(header), 0);
      await spool.sync();
      await spool.close();
      await rename(spoolPath, path);
    },
    async abandon() {
      try {
        await spool.close();
      } finally {
        await rm(spoolPath, { force: true });
      }
    },
  };
}

/** The header, which begins with its own length, with spaces after it as far as its room goes. */
function padHeader(header: Uint8Array): Uint8Array {
  const padded = new Uint8Array(HEADER_ROOM).fill(0x20);
  padded.set(header);
  const lengthBytes = BigUint64Array.BYTES_PER_ELEMENT;
  new DataView(padded.buffer).setBigUint64(0, BigInt(HEADER_ROOM - lengthBytes), true);
  return padded;
}

async function requireLength(spool: FileHandle, path: string, expected: number): Promise<void> {
  const { size } = await spool.stat();
  if (size === expected || (size < HEADER_ROOM && expected === HEADER_ROOM)) return;
  throw new SafetensorsError(
    "truncated",
    `${path}: expected ${expected} bytes, found ${size}; did the file change?`,
  );
}

interface Spool {
  readonly spool: FileHandle;
  readonly spoolPath: string;
  readonly tensors: readonly Spooled[];
  readonly dtype: "F32" | "F16";
}

async function copyOut(path: string, { spool, spoolPath, tensors, dtype }: Spool): Promise<void> {
  const sources = tensors.map(({ name, shape, start, byteLength }) => ({
    name,
    dtype,
    shape,
    async data() {
      const bytes = new Uint8Array(byteLength);
      await readFully(spool, bytes, { position: start, path: spoolPath });
      return bytes;
    },
  }));
  await writeSafetensorsFile(path, sources, METADATA);
  await spool.close();
  await rm(spoolPath);
}

/** Writes the values of a tensor, a piece at a time where they are still in the input. */
async function writeTensor(
  { name, data, matrix }: StoredTensor,
  dtype: "F32" | "F16",
  buffers: PieceBuffers,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  if (matrix === undefined) return write(encodeFloats(data, dtype, { tensor: name }));
  const type = dtype === "F16" ? "float16" : "float32";
  const fill = storedRows(matrix, { type, tensor: name });
  await writeStream({ type, dims: [matrix.rows, matrix.columns], fill }, write, buffers);
}
