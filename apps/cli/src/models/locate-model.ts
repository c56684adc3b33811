import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Dtype, type DtypeTraits, dtypes, quantisedFileName } from "@kvfold/decoder";
import type { CachePrecision } from "@kvfold/policies";
import { CliError } from "../cli-error.js";
import { exists } from "../files/exists.js";

/** Where a model is: a graph to run, or a checkpoint to export first. */
export type ModelLocation =
  | {
      readonly kind: "onnx";
      readonly folder: string;
      readonly graph: string;
      /** The graph over the same weights that leaves the cache where it is, in folders that have it. */
      readonly deltaGraph?: string | undefined;
      /** The graph over the same weights whose layers and heads may keep different tokens, in folders that have it. */
      readonly policyGraph?: string | undefined;
      /** Policy graphs over the same weights with quantised caches, in folders that have them. */
      readonly quantisedGraphs?: Readonly<Record<CachePrecision, string | undefined>> | undefined;
    }
  | { readonly kind: "checkpoint"; readonly folder: string };

const CHECKPOINT_FILES = ["model.safetensors", "model.safetensors.index.json"];

/**
 * Finds out what a path given as MODEL is: a folder with `onnx/model.onnx` (or `model_fp16.onnx`, or
 * `model_q4.onnx`), a Hugging Face checkpoint, or a `.onnx` file. Without `dtype` the first of these graphs is taken.
 *
 * @throws {CliError} `unreadable-file` when it is nothing of these, GGUF files among it.
 */
export async function locateModel(path: string, dtype?: Dtype): Promise<ModelLocation> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new CliError("unreadable-file", `${path}: no such model folder or file`, { cause });
  });
  if (info.isFile()) return locateGraph(path);
  const traits = dtype === undefined ? Object.values(dtypes) : [dtypes[dtype]];
  const wanted = traits.map(({ fileName }) => fileName);
  const found = await findTraits(path, traits);
  if (found !== undefined) return graphsOf(path, found);
  const weights = await firstExisting(CHECKPOINT_FILES.map((file) => join(path, file)));
  if (weights !== undefined) return { kind: "checkpoint", folder: path };
  const llamaCpp = (await readdir(path)).find((file) => file.endsWith(".gguf"));
  if (llamaCpp !== undefined) throw runsElsewhere(join(path, llamaCpp));
  throw new CliError(
    "unreadable-file",
    `${path} holds neither onnx/${wanted.join(" or onnx/")} nor ${CHECKPOINT_FILES.join(" or ")}; name a folder that kvfold wrote, or a Hugging Face checkpoint`,
  );
}

async function findTraits(
  folder: string,
  candidates: readonly DtypeTraits[],
): Promise<DtypeTraits | undefined> {
  for (const traits of candidates) {
    if (await exists(join(folder, "onnx", traits.fileName))) return traits;
  }
  return undefined;
}

async function graphsOf(
  folder: string,
  { fileName, deltaFileName, policyFileName }: DtypeTraits,
): Promise<ModelLocation> {
  const existing = async (name: string) => {
    const path = join(folder, "onnx", name);
    return (await exists(path)) ? path : undefined;
  };
  return {
    kind: "onnx",
    folder,
    graph: join(folder, "onnx", fileName),
    deltaGraph: await existing(deltaFileName),
    policyGraph: await existing(policyFileName),
    quantisedGraphs: {
      int8: await existing(quantisedFileName(policyFileName, "int8")),
      int4: await existing(quantisedFileName(policyFileName, "int4")),
    },
  };
}

function locateGraph(path: string): ModelLocation {
  if (path.endsWith(".gguf")) throw runsElsewhere(path);
  if (!path.endsWith(".onnx")) {
    throw new CliError("unreadable-file", `${path} is not a .onnx file; name one, or the model's folder`);
  }
  const parent = dirname(path);
  return { kind: "onnx", folder: basename(parent) === "onnx" ? dirname(parent) : parent, graph: path };
}

const runsElsewhere = (file: string): CliError =>
  new CliError(
    "unreadable-file",
    `${file} is for llama.cpp; fold with --format onnx to run the model here, with onnx,gguf for both`,
  );

async function firstExisting(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    if (await exists(path)) return path;
  }
  return undefined;
}
