import {
  type CausalLM,
  cacheBytesPerToken,
  createCausalLM,
  type DecodingState,
  type FinishReason,
  generate,
  modelIdentity,
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
import { Conversation } from "./conversation.js";
import { heldBytes } from "./held-bytes.js";
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
  readonly readPolicies: PolicyReader | undefined;
  readonly onLost: (error: RuntimeError) => void;
}

interface OpenedModel extends ProviderChoice {
  readonly session: WebSession;
}

/** Reads policies as they are named in one line: `parsePolicies` of `@kvfold/policies`. */
export type PolicyReader = (text: string) => Promise<NonNullable<CausalLM.CacheOptions["cache"]>>;

type Input<N extends keyof Calls> = Calls[N]["input"];

/** The model of a worker. The worker ends with it, which frees all that it holds. */
export class ServedModel {
  readonly #options: Options;
  #session: WebSession | undefined;
  #maxPositions: number | undefined;
  #identity: Promise<string> | undefined;
  #conversation: Conversation | undefined;
  #actions: CausalLM.CacheOptions = {};

  constructor(options: Options) {
    this.#options = options;
  }

  async load(
    { source, storage, executionProvider, maxPositions, cache }: Input<"load">,
    { report, signal }: CallContext<"load">,
  ): Promise<LoadedModel> {
    const choice = await chooseProvider(executionProvider, cache);
    if (cache !== undefined) this.#actions = { cache: await this.#readPolicies(cache) };
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
    this.#identity = identityOf(bytes);
    report({ stage: "start", file: "", loadedBytes, totalBytes: loadedBytes });
    const { session, ...opened } = await this.#open(choice, bytes, executionProvider === "auto");
    this.#session = session;
    this.#maxPositions = maxPositions;
    void session.lost.then(this.#options.onLost);
    const { cacheLayout, cacheKind, vocabularySize } = this.#model(signal);
    return { ...opened, cacheBytesPerToken: cacheBytesPerToken(cacheLayout), cacheKind, vocabularySize };
  }

  async generate(
    { prompt, options, keep }: Input<"generate">,
    { report, signal }: CallContext<"generate">,
  ): Promise<FinishReason> {
    const run = async (model: CausalLM, state: DecodingState): Promise<FinishReason> => {
      const tokens = generate(model, prompt, { ...options, signal, state });
      for (;;) {
        const next = await tokens.next();
        if (next.done === true) return next.value;
        report({ token: next.value, cacheBytes: heldBytes(model.cacheLayout, state) });
      }
    };
    if (keep) return this.#kept().use(signal, run);
    const model = this.#model(signal);
    const state = model.createState(this.#actions);
    try {
      return await run(model, state);
    } finally {
      state.dispose();
    }
  }

  async saveCache({ name }: Input<"saveCache">, { signal }: CallContext<"saveCache">): Promise<undefined> {
    await this.#kept().save(name, signal);
  }

  async loadCache(
    { name }: Input<"loadCache">,
    { signal }: CallContext<"loadCache">,
  ): Promise<readonly number[]> {
    return this.#kept().load(name, signal);
  }

  perplexity(
    { windows }: Input<"perplexity">,
    { report, signal }: CallContext<"perplexity">,
  ): Promise<Perplexity> {
    return perplexity(this.#model(signal), windows, { signal, onWindow: (_, soFar) => report(soFar) });
  }

  async #readPolicies(text: string): Promise<CausalLM.CacheOptions["cache"]> {
    const { readPolicies } = this.#options;
    if (readPolicies !== undefined) return readPolicies(text);
    throw new RuntimeError(
      "invalid-argument",
      `cache ${text}: expected a worker that reads policies, found none: give serveRuntime readPolicies`,
    );
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
    const session = interruptible(this.#loaded(), () => signal);
    return createCausalLM(session, { maxPositions: this.#maxPositions });
  }

  #kept(): Conversation {
    this.#conversation ??= new Conversation(
      this.#loaded(),
      this.#maxPositions,
      this.#identity!,
      this.#actions,
    );
    return this.#conversation;
  }

  #loaded(): WebSession {
    if (this.#session !== undefined) return this.#session;
    throw new RuntimeError("invalid-argument", "expected a model, found none loaded");
  }
}

/** Policies act on caches in the memory of the CPU. */
async function chooseProvider(
  wanted: ExecutionProvider | "auto",
  cache: string | undefined,
): Promise<ProviderChoice> {
  if (cache === undefined) return chooseExecutionProvider(wanted);
  if (wanted !== "webgpu") return webAssembly("which cache policies need");
  throw new RuntimeError(
    "invalid-argument",
    `cache ${cache}: expected the provider wasm or auto, found webgpu: policies act on caches in the memory of the CPU`,
  );
}

/** Found out while ONNX Runtime starts, since the bytes are given up then; that it fails matters to caches alone. */
function identityOf({ bytes, externalData = [] }: ModelBytes): Promise<string> {
  const data = externalData.map(({ path, data }) => [path, bytesOf(data)] as const);
  const identity = modelIdentity(bytesOf(bytes), new Map(data));
  identity.catch(() => {});
  return identity;
}

const bytesOf = (bytes: Uint8Array): Parameters<typeof modelIdentity>[0] => ({
  byteLength: bytes.byteLength,
  read: async (start, end) => bytes.subarray(start, end),
});
