import {
  type CacheKind,
  type FinishReason,
  type generate,
  type Perplexity,
  RuntimeError,
  type RuntimeErrorCode,
} from "@kvfold/runtime";
import type { ExecutionProvider, ProviderChoice } from "./choose-execution-provider.js";
import type { LoadProgress, StorageUse, WebModelSource } from "./web-model-source.js";

/** What a page asks of the worker that runs its model: by name, what goes there, what is reported on the way, what comes back. */
export interface Calls {
  readonly load: { readonly input: LoadInput; readonly report: LoadProgress; readonly result: LoadedModel };
  readonly generate: {
    readonly input: GenerateInput;
    readonly report: GeneratedToken;
    readonly result: FinishReason;
  };
  readonly saveCache: { readonly input: CacheName; readonly report: never; readonly result: undefined };
  readonly loadCache: {
    readonly input: CacheName;
    readonly report: never;
    readonly result: readonly number[];
  };
  readonly perplexity: {
    readonly input: { readonly windows: readonly (readonly number[])[] };
    readonly report: Perplexity;
    readonly result: Perplexity;
  };
}

export type CallName = keyof Calls;

/** What the worker gives to who carries a call out. */
export interface CallContext<N extends CallName> {
  readonly report: (report: Calls[N]["report"]) => void;
  readonly signal: AbortSignal;
}

interface LoadInput {
  readonly source: WebModelSource;
  readonly storage: StorageUse;
  readonly executionProvider: ExecutionProvider | "auto";
  readonly maxPositions: number;
  /** Policies by name. */
  readonly cache?: string | undefined;
}

/** A token as soon as it is drawn. */
export interface GeneratedToken {
  readonly token: number;
  /** Bytes of the tokens in the cache: those that policies dropped are not among them. */
  readonly cacheBytes: number;
}

/** What is known of a model once it is loaded. */
export interface LoadedModel extends ProviderChoice {
  readonly cacheBytesPerToken: number;
  /** `in-place` and `delta` caches have memory of their own, `growing` ones are copied at each step. */
  readonly cacheKind: CacheKind;
  /** Columns of the logits, where the graph declares them as a number. */
  readonly vocabularySize: number | undefined;
}

interface GenerateInput {
  readonly prompt: readonly number[];
  readonly options: Omit<generate.Options, "signal" | "state">;
  /** Goes on in the kept conversation. */
  readonly keep: boolean;
}

interface CacheName {
  readonly name: string;
}

/** Messages to the worker. */
export type Request =
  | {
      [N in CallName]: { readonly type: N; readonly id: number; readonly input: Calls[N]["input"] };
    }[CallName]
  | { readonly type: "cancel"; readonly id: number };

/** Messages from the worker. The last of a call is a result or a failure; `lost` concerns all calls to come. */
export type Reply =
  | { readonly type: "report"; readonly id: number; readonly report: Calls[CallName]["report"] }
  | { readonly type: "result"; readonly id: number; readonly result: Calls[CallName]["result"] }
  | { readonly type: "failure"; readonly id: number; readonly failure: Failure }
  | { readonly type: "lost"; readonly failure: Failure };

/** An error as data: its class does not survive the way between threads. */
export interface Failure {
  readonly code: RuntimeErrorCode | undefined;
  readonly message: string;
}

/** An error on its way out of the worker. */
export function describeFailure(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  return { code: RuntimeError.isInstance(error) ? error.code : undefined, message };
}

/** The error again, of the class that it had. */
export const reviveFailure = ({ code, message }: Failure): Error =>
  code === undefined ? new Error(message) : new RuntimeError(code, message);
