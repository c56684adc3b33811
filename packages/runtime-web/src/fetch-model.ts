import { type ExternalData, type ModelSource, RuntimeError } from "@kvfold/runtime";

export declare namespace fetchModel {
  interface Options {
    /** Names of the files beside the model that hold its weights, such as `["model.onnx_data"]`. */
    readonly externalData?: readonly string[];
    readonly signal?: AbortSignal | undefined;
  }
}

/**
 * Downloads a model and the files of its weights, to be loaded as bytes.
 *
 * @param url - Of the `.onnx` file; relative to the page.
 * @throws {RuntimeError} `model-unreadable` when a file cannot be fetched; `aborted` when `signal` fires.
 */
export async function fetchModel(
  url: string,
  { externalData = [], signal }: fetchModel.Options = {},
): Promise<ModelSource> {
  const base = new URL(url, globalThis.location?.href);
  const fetchNamed = async (path: string): Promise<ExternalData> => ({
    path,
    data: await fetchBytes(new URL(path, base), signal),
  });
  const [bytes, ...files] = await Promise.all([fetchBytes(base, signal), ...externalData.map(fetchNamed)]);
  return { bytes, externalData: files };
}

async function fetchBytes(url: URL, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    const response = await fetch(url, signal === undefined ? {} : { signal });
    if (!response.ok) throw new TypeError(`status ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    if (signal?.aborted)
      throw new RuntimeError("aborted", `fetchModel: aborted while fetching ${url}`, { cause });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RuntimeError("model-unreadable", `fetchModel: expected a file at ${url}, found ${reason}`, {
      cause,
    });
  }
}
