import type { ModelFiles } from "../models/model-files.js";

/** What the page asks a model's worker. Each request has an id that its answers carry. */
export type ModelRequest =
  | { readonly id: number; readonly type: "load"; readonly files: ModelFiles; readonly runtimeUrl: string }
  | {
      readonly id: number;
      readonly type: "generate";
      readonly prompt: readonly number[];
      readonly maxNewTokens: number;
    }
  | { readonly id: number; readonly type: "perplexity"; readonly tokens: Int32Array }
  /** Ends the generation of that id between two tokens. */
  | { readonly id: number; readonly type: "stop" };

export interface LoadedInfo {
  readonly provider: string;
  readonly reason: string;
  readonly cacheBytesPerToken: number;
}

export type ModelAnswer = { readonly id: number } & (
  | { readonly type: "loaded"; readonly info: LoadedInfo }
  | { readonly type: "token"; readonly token: number }
  | { readonly type: "number"; readonly value: number }
  | { readonly type: "end" }
  | { readonly type: "failed"; readonly message: string }
);
