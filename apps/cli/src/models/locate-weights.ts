import { stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { CliError } from "../cli-error.js";
import { exists } from "../files/exists.js";
import { RECORD_FILE } from "../files/output-folder.js";
import type { FoundModel } from "./find-model.js";
import { locateModel } from "./locate-model.js";

/** A model whose weights can be read. */
export interface WeightsModel extends FoundModel {
  /** The graph in its folder that was named, where one was. */
  readonly graph?: string | undefined;
}

/**
 * Finds the folder of a model that is to be folded: that of a Hugging Face checkpoint, or of a decoder graph that another tool
 * wrote, which may be named itself.
 *
 * @throws {CliError} `unreadable-file` when there is nothing there; `unsupported-model` for a folder that kvfold wrote.
 */
export async function locateWeights(model: FoundModel, purpose: string): Promise<WeightsModel> {
  const found = await findWeights(model);
  if (!(await exists(join(found.path, RECORD_FILE)))) return found;
  const { kind } = await locateModel(model.path);
  if (kind === "checkpoint") return found;
  throw new CliError(
    "unsupported-model",
    `${model.path} is an ONNX export that kvfold wrote; ${purpose} needs the model it was made from`,
  );
}

async function findWeights(model: FoundModel): Promise<WeightsModel> {
  const info = await stat(model.path).catch((cause: unknown) => {
    throw new CliError("unreadable-file", `${model.path}: no such model folder or file`, { cause });
  });
  if (info.isDirectory()) return model;
  const location = await locateModel(model.path);
  if (location.kind === "checkpoint") return model;
  const { folder, graph } = location;
  return { ...model, path: folder, graph: relative(folder, graph).replaceAll("\\", "/") };
}

/** The same model for those who run it: the graph that was named, if one was. */
export const toRun = ({ graph, ...model }: WeightsModel): FoundModel =>
  graph === undefined ? model : { ...model, path: join(model.path, graph) };
