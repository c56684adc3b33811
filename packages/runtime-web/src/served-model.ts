import {
  type CausalLM,
  cacheBytesPerToken,
  createCausalLM,
  type FinishReason,
  generate,
  type Perplexity,
  perplexity,
  RuntimeError,
} from "@kvfold/runtime";
import {
  chooseExecutionProvider,
  type ExecutionProvider,
  type ProviderChoice,
  webAssembly,
} from "./choose-execution-provider.js";
import { interruptible } from "./interruptible.js";
import type { OrtWeb } from "./ort-web.js";
import { type CallContext, type Calls, describeFailure, type LoadedModel } from "./protocol.js";
import { readModelSource } from "./read-model-source.js";
import type { ModelBytes } from "./web-model-source.js";
import { webProvider } from "./web-provider.js";
import type { WebSession } from "./web-session.js";

interface Options {
  readonly importOrt: (provider: ExecutionProvider) => Promise<OrtWeb>;
  readonly wasmPaths: string | undefined;
  readonly onLost: (error: RuntimeError) => void;
}

interface OpenedModel extends ProviderChoice {
  readonly session: WebSession;
}

type Input<N extends keyof Calls> = Calls[N]["input"];

/** The model of a worker. The worker ends with it, which frees all that it holds. */
export class ServedModel {
  readonly #options: Options;
  #session: WebSession | undefined;
  #maxPositions: number | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  async load(
    { source, storage, executionProvider, maxPositions }: Input<"load">,
    { report, signal }: CallContext<"load">,
  ): Promise<LoadedModel> {
    const choice = await chooseExecutionProvider(executionProvider);
    let loadedBytes = 0;
    const bytes = await readModelSource(source, {
      storage,
      graph: choice.provider === "wasm" ? "delta" : "standard",
      signal,
      onProgress: (progress) => {
        ({ loadedBytes } = progress);
        report(progress);
      },
    });
    report({ stage: "start", file: "", loadedBytes, totalBytes: loadedBytes });
    const { session, ...opened } = await this.#open(choice, bytes, executionProvider === "auto");
    this.#session = session;
    this.#maxPositions = maxPositions;
    void session.lost.then(this.#options.onLost);
    const { cacheLayout, cacheKind, vocabularySize } = this.#model(signal);
    return { ...opened, cacheBytesPerToken: cacheBytesPerToken(cacheLayout), cacheKind, vocabularySize };
  }

  async generate(
    { prompt, options }: Input<"generate">,
    { report, signal }: CallContext<"generate">,
  ): Promise<FinishReason> {
    const tokens = generate(this.#model(signal), prompt, { ...options, signal });
    for (;;) {
      const next = await tokens.next();
      if (next.done === true) return next.value;
      report(next.value);
    }
  }

  perplexity(
    { windows }: Input<"perplexity">,
    { report, signal }: CallContext<"perplexity">,
  ): Promise<Perplexity> {
    return perplexity(this.#model(signal), windows, { signal, onWindow: (_, soFar) => report(soFar) });
  }

  async #open(choice: ProviderChoice, bytes: ModelBytes, canFallBack: boolean): Promise<OpenedModel> {
    const { provider, threads } = choice;
    const { importOrt, wasmPaths } = this.#options;
    try {
      const ort = await importOrt(provider);
      const session = await webProvider(ort, { executionProvider: provider, wasmPaths }).createSession(
        bytes,
        { threads },
      );
      return { ...choice, session };
    } catch (error) {
      if (provider === "wasm" || !canFallBack) throw error;
      const why = `since WebGPU did not take the model (${describeFailure(error).message})`;
      return this.#open(webAssembly(why), bytes, false);
    }
  }

  #model(signal: AbortSignal): CausalLM {
    if (this.#session === undefined)
      throw new RuntimeError("invalid-argument", "expected a model, found none loaded");
    return createCausalLM(interruptible(this.#session, signal), { maxPositions: this.#maxPositions });
  }
}
