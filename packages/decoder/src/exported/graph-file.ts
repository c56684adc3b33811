import { type GraphView, type Initializer, type OnnxError, readModel } from "@kvfold/onnx";
import type { FolderSource } from "../checkpoint/checkpoint.js";
import { DecoderError } from "../decoder-error.js";

type OpenSource = NonNullable<Awaited<ReturnType<FolderSource["openBytes"]>>>;

/** A graph in a folder, and the external data beside it. */
export interface GraphFile {
  /** For messages. */
  readonly name: string;
  readonly view: GraphView;
  /** The bytes of an initializer, wherever they are. */
  bytesOf(tensor: Initializer): Promise<Uint8Array>;
  /** The same of a tensor so small that it was read when the file was opened. */
  smallBytesOf(tensor: Initializer): Uint8Array | undefined;
  /** The graph's own file, and those of its external data. */
  readonly paths: readonly string[];
  source(path: string): Promise<OpenSource>;
  close(): Promise<void>;
}

/** Sizes and constants of a graph, which some tools keep in external data like the weights. */
const SMALL_BYTES = 4096;

/**
 * Opens a graph. Only its own file and small tensors are read.
 *
 * @throws {DecoderError} `malformed-checkpoint` when the graph or its external data are missing or broken.
 */
export async function openGraphFile(folder: FolderSource, path: string): Promise<GraphFile> {
  const name = `${folder.name}/${path}`;
  const beside = path.slice(0, path.lastIndexOf("/") + 1);
  const sources = new Map<string, OpenSource>();
  const source = async (file: string): Promise<OpenSource> => {
    const opened = sources.get(file) ?? (await folder.openBytes(file));
    if (opened === undefined)
      throw malformed(name, `needs ${folder.name}/${file}, which is missing; copy all files of the model`);
    sources.set(file, opened);
    return opened;
  };
  const close = async () => {
    for (const opened of sources.values()) await opened.close?.();
  };
  try {
    const view = await readGraph(name, await source(path));
    const bytesOf = async (tensor: Initializer): Promise<Uint8Array> => {
      if (tensor.location === undefined) return tensor.value?.bytes ?? new Uint8Array(0);
      const { path: file, offset, byteLength } = tensor.location;
      return (await source(beside + file)).read(offset, offset + byteLength);
    };
    const small = await readSmall(view, bytesOf);
    return {
      name,
      view,
      bytesOf,
      smallBytesOf: (tensor) => small.get(tensor),
      paths: [path, ...dataPaths(view).map((file) => beside + file)],
      source,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readGraph(name: string, source: OpenSource): Promise<GraphView> {
  try {
    return readModel(await source.read(0, source.byteLength));
  } catch (cause) {
    throw malformed(name, `cannot be read (${(cause as OnnxError).message})`, cause);
  }
}

async function readSmall(view: GraphView, bytesOf: GraphFile["bytesOf"]) {
  const small = new Map<Initializer, Uint8Array>();
  for (const tensor of view.initializers.values()) {
    const byteLength = tensor.location?.byteLength ?? tensor.value?.bytes.byteLength ?? 0;
    if (byteLength <= SMALL_BYTES) small.set(tensor, await bytesOf(tensor));
  }
  return small;
}

const dataPaths = ({ initializers }: GraphView): readonly string[] =>
  [...new Set([...initializers.values()].flatMap(({ location }) => location?.path ?? []))].toSorted();

const malformed = (file: string, problem: string, cause?: unknown): DecoderError =>
  new DecoderError("malformed-checkpoint", `${file} ${problem}`, { cause });
