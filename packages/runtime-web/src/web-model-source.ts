import type { ModelSource } from "@kvfold/runtime";

/**
 * Where the files of a model are. Files that hold its weights are found by the names that the model itself gives them.
 *
 * - `url`: of the `.onnx` file, relative to the page; its weights lie beside it. A query is for that file alone.
 * - `files`: picked by the user, or made by the page: one `.onnx` file (`model` says which of several) and what it needs.
 *   With `keepAs` they stay in the browser's storage under that name.
 * - `kept`: what was kept under this name.
 */
export type WebModelSource =
  | { readonly url: string }
  | { readonly files: readonly File[]; readonly model?: string; readonly keepAs?: string }
  | { readonly kept: string };

/** A model in memory. */
export type ModelBytes = Extract<ModelSource, { readonly bytes: Uint8Array }>;

/** How far the files of a model have come. */
export interface LoadProgress {
  /** `download` from a server, `read` from storage or from picked files, `start` while ONNX Runtime prepares the model. */
  readonly stage: "download" | "read" | "start";
  readonly file: string;
  /** Of all files so far. */
  readonly loadedBytes: number;
  /** Of all files that are known of: those of the weights are once the graph is there. */
  readonly totalBytes: number | undefined;
}

/**
 * What the browser's storage is used for: `keep` reads models from it without asking their server, and keeps what it
 * downloads; `revalidate` asks first whether the server still has the same files, and takes the stored ones when it
 * cannot be reached; `none` leaves it alone.
 */
export type StorageUse = "keep" | "revalidate" | "none";
