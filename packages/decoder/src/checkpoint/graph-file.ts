import { type GraphView, type Initializer, type OnnxError, readModel } from "@kvfold/onnx";
import { DecoderError } from "../decoder-error.js";
import type { FolderSource } from "./checkpoint.js";

type OpenSource = NonNullable<Awaited<ReturnType<FolderSource["openBytes"]>>>;

/** A graph in a folder, and the external data beside it. */
export interface GraphFile {
  /** For messages. */
  readonly name: string;
  readonly view: GraphView;
  /** The bytes of an initializer, wherever they are. */
  bytesOf(tensor: Initializer): Promise<Uint8Array>;
  /** The graph's own file, and those of its external data. */
  readonly paths: readonly string[];
  source(path: string): Promise<OpenSource>;
  close(): Promise<void>;
}

/**
 * Opens a graph. Only its own file is read.
 *
 * @throws {DecoderError} `malformed-checkpoint` when the graph or its external data are missing or broken.
 */
export async function openGraphFile(folder: FolderSource, path: string): Promise<GraphFile> {
  const name = `${folder.name}/${path}`;
  const beside = path.slice(0, path.lastIndexOf("/") + 1);
  const sources = new Map<string, OpenSource>();
  const source = async (file: string): Promise<OpenSource> => {
    const opened = sources.get(file) ?? (await folder.openBytes(file));
    if (opened === undefined) {
      const missing = file === path ? "is missing" : `needs ${folder.name}/${file}, which is missing`;
      throw malformed(name, `${missing}; copy all files of the model`);
    }
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
    return {
      name,
      view,
      bytesOf,
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

const dataPaths = ({ initializers }: GraphView): readonly string[] =>
  [...new Set([...initializers.values()].flatMap(({ location }) => location?.path ?? []))].toSorted();

const malformed = (file: string, problem: string, cause?: unknown): DecoderError =>
  new DecoderError("malformed-checkpoint", `${file} ${problem}`, { cause });
