import { type GraphView, type Initializer, type OnnxError, readModel } from "@kvfold/onnx";
import { DecoderError } from "../decoder-error.js";
import type { FolderSource } from "./checkpoint.js";
import { inFile } from "./in-file.js";

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
 * @throws {DecoderError} `malformed-checkpoint` when the graph or its external data are missing or broken,
 * `unreadable-checkpoint` where the disk or network fails, both naming the file; so do reads.
 */
export async function openGraphFile(folder: FolderSource, path: string): Promise<GraphFile> {
  const name = `${folder.name}/${path}`;
  const beside = path.slice(0, path.lastIndexOf("/") + 1);
  // Promises, so that two who ask for a file at once share it.
  const sources = new Map<string, Promise<OpenSource>>();
  const open = async (file: string): Promise<OpenSource> => {
    const opened = await inFile(folder, file, () => folder.openBytes(file));
    if (opened !== undefined) return namingSource(folder, file, opened);
    const missing = file === path ? "is missing" : `needs ${folder.name}/${file}, which is missing`;
    throw malformed(name, `${missing}; copy all files of the model`);
  };
  const source = (file: string): Promise<OpenSource> => {
    const opened = sources.get(file) ?? open(file);
    sources.set(file, opened);
    return opened;
  };
  const close = async () => {
    for (const opened of await Promise.allSettled(sources.values()))
      if (opened.status === "fulfilled") await opened.value.close?.();
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

/** The same source, whose errors name the file. */
const namingSource = (folder: FolderSource, file: string, source: OpenSource): OpenSource => ({
  byteLength: source.byteLength,
  read: (start, end) => inFile(folder, file, () => source.read(start, end)),
  close: async () => source.close?.(),
});

async function readGraph(name: string, source: OpenSource): Promise<GraphView> {
  const bytes = await source.read(0, source.byteLength);
  try {
    return readModel(bytes);
  } catch (cause) {
    throw malformed(name, `cannot be read (${(cause as OnnxError).message})`, cause);
  }
}

const dataPaths = ({ initializers }: GraphView): readonly string[] =>
  [...new Set([...initializers.values()].flatMap(({ location }) => location?.path ?? []))].toSorted();

const malformed = (file: string, problem: string, cause?: unknown): DecoderError =>
  new DecoderError("malformed-checkpoint", `${file} ${problem}`, { cause });
