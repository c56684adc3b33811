import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type GraphBody, readModel } from "@kvfold/onnx";
import { modelIdentity } from "@kvfold/runtime";
import { bytesSource } from "@kvfold/safetensors";
import { type FileSource, fileSource } from "@kvfold/safetensors/node";

/**
 * What tells a model's weights from all others: `modelIdentity` of its graph and of the files that the graph names.
 *
 * @param graph - The `.onnx` file that is run.
 * @throws {OnnxError} `malformed-model` for a file that is no graph; and the file system's errors.
 */
export async function identifyModel(graph: string): Promise<string> {
  const bytes = await readFile(graph);
  const data = new Map<string, FileSource>();
  try {
    for (const name of dataFiles(readModel(bytes)))
      data.set(name, await fileSource(join(dirname(graph), name)));
    return await modelIdentity(bytesSource(bytes), data);
  } finally {
    for (const source of data.values()) await source.close();
  }
}

/** Names of the files that hold weights, of subgraphs too. */
function dataFiles({ initializers, nodes }: GraphBody): ReadonlySet<string> {
  const own = [...initializers.values()].flatMap(({ location }) => location?.path ?? []);
  const inner = nodes.flatMap(({ attributes }) =>
    Object.values(attributes).flatMap((value) =>
      typeof value === "object" && "graph" in value ? [...dataFiles(value.graph)] : [],
    ),
  );
  return new Set([...own, ...inner]);
}
