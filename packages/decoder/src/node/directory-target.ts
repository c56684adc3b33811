import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileSink } from "@kvfold/onnx/node";
import type { ModelTarget } from "../output/model-target.js";
import { spooledSafetensors } from "./spooled-safetensors.js";

/** A directory on disk as the place of a model's files; it and its subfolders are made when the first file comes. */
export function directoryTarget(path: string): ModelTarget {
  const locate = async (file: string) => {
    const place = join(path, file);
    await mkdir(dirname(place), { recursive: true });
    return place;
  };
  return {
    open: async (file) => fileSink(await locate(file)),
    openTensors: async (file, dtype) => spooledSafetensors(await locate(file), dtype),
  };
}
