import { checkPolicies, type Policy, type PolicyNeeds } from "@kvfold/policies/check";
import {
  applyPolicies,
  beginPolicies,
  checkGraph,
  needsOf,
  type PolicyTime,
  stepNeedsOf,
} from "./apply-policies.js";
import type { CacheLayout } from "./cache-layout.js";
import { checkPositions, checkTokens } from "./check-tokens.js";
import { chunksAfter } from "./chunk-after.js";
import { ExclusiveCache } from "./exclusive-cache.js";
import type { KvCache } from "./kv-cache.js";
import { type Logits, logitsRow } from "./logits.js";
import type { RaggedCache } from "./ragged-cache.js";
import { runStep, type StepRunner } from "./run-step.js";
import { RuntimeError } from "./runtime-error.js";
import { packCache, type SavedCache } from "./saved-cache.js";
import { packRaggedCache } from "./saved-ragged-cache.js";

/** One sequence being decoded, with the cache of its tokens. One call at a time. */
export interface DecodingState {
  /** Tokens so far. */
  readonly length: number;
  /** Ids of these tokens. */
  readonly tokens: readonly number[];
  /** Bytes of the cache. */
  readonly cacheBytes: number;
  /**
   * Appends the tokens of a prompt, a chunk at a time, and returns the logits `[vocabulary]` of the last. When a run
   * fails, the chunks before it stay. The state's policies then act on the cache.
   *
   * @throws {RuntimeError} `invalid-argument`, `too-many-positions`, `busy`, `disposed` or `run-failed`.
   */
  prefill(ids: ArrayLike<number>): Promise<Float32Array>;
  /** Appends one token and returns its logits `[vocabulary]`; policies for steps then act. Throws as `prefill`. */
  decode(id: number): Promise<Float32Array>;
  /**
   * Appends tokens in one run and returns the logits `[S, vocabulary]` of all of them. No policy acts. Throws as `prefill`.
   */
  forward(ids: ArrayLike<number>): Promise<Logits>;
  /** Tokens at the beginning of which policies have dropped some: `truncate` goes back to none of them but to 0. */
  readonly settled: number;
  /**
   * Lets policies change the cache as they do after a prompt, without its being read again.
   *
   * @throws {RuntimeError} `invalid-argument` for a graph that cannot drop tokens, or does not give out what policies look at,
   *   and for policies that keep what is not there; `busy` or `disposed`.
   * @throws {PolicyError} for policies that look at what the last run was not asked to give out (`createState`'s `observe`).
   */
  compress(policies: readonly Policy[]): void;
  /**
   * A state of the same tokens with a cache of its own.
   *
   * @throws {RuntimeError} `invalid-argument` for a graph other than a policy graph; `busy` or `disposed`.
   */
  copy(): DecodingState;
  /** Tokens that each head of each layer holds, where these may differ. */
  readonly heldTokens: readonly (readonly number[])[];
  /**
   * Forgets all tokens but the first `length`: what comes next is decoded as if the others had never been. An in-place
   * cache keeps its memory; a growing one copies what stays.
   *
   * @throws {RuntimeError} `invalid-argument` when there are fewer tokens; `busy` or `disposed`.
   */
  truncate(length: number): void;
  /**
   * The cache as the bytes of a file, which `model.loadState` reads: a conversation then goes on without being read again.
   * They are views of the cache: write them before the state is used again or disposed of.
   *
   * @param model - What tells this model's weights from others, such as a hash of its files.
   * @throws {RuntimeError} `unsupported-model` for a cache in the memory of a GPU; `busy` or `disposed`.
   */
  save(model: string): SavedCache;
  /** Forgets all tokens. An in-place cache keeps its memory for the next ones. */
  clear(): void;
  /** Gives back the memory of the cache, as soon as a call that is under way is done. */
  dispose(): void;
}

export declare namespace createDecodingState {
  interface Options extends StepRunner {
    readonly layout: CacheLayout;
    readonly cache: KvCache;
    /** Tokens that the cache holds already; none unless given. */
    readonly tokens?: readonly number[];
    /** Position of the sequence's token `index`; it grows with `index`. */
    readonly positionOf: (index: number) => number;
    readonly maxPositions: number;
    /** Token ids are below it; infinite where the graph does not say. */
    readonly vocabularySize: number;
    readonly prefillChunk: number;
    /** What acts on the cache; none unless given. */
    readonly policies?: readonly Policy[];
    /** What prompts are read to be looked at for, beside what policies need. */
    readonly observe?: PolicyNeeds | undefined;
    /** Tokens that policies have acted on already. */
    readonly settled?: number;
  }
}

/** Starts a sequence over a session and an empty cache. */
export function createDecodingState(options: createDecodingState.Options): DecodingState {
  return new CachedDecoding(options);
}

class CachedDecoding implements DecodingState {
  readonly #options: createDecodingState.Options;
  readonly #cache: ExclusiveCache<KvCache>;
  #tokens: number[];
  #settled: number;
  #policies: readonly Policy[];

  constructor(options: createDecodingState.Options) {
    this.#options = options;
    this.#cache = new ExclusiveCache(options.cache, {
      name: "DecodingState",
      noun: "state",
      factory: "createState",
    });
    this.#tokens = [...(options.tokens ?? [])];
    this.#settled = options.settled ?? 0;
    this.#policies = beginPolicies(options.policies ?? []);
  }

  get length(): number {
    return this.#cache.current?.length ?? 0;
  }

  get tokens(): readonly number[] {
    return this.#tokens;
  }

  get cacheBytes(): number {
    return this.#cache.current?.bytes ?? 0;
  }

  get settled(): number {
    return this.#settled;
  }

  get heldTokens(): readonly (readonly number[])[] {
    const cache = this.#cache.current;
    return cache !== undefined && isRagged(cache) ? cache.lengths : [];
  }

  prefill(ids: ArrayLike<number>): Promise<Float32Array> {
    const { prefillChunk, observe, layout } = this.#options;
    return this.#exclusively(ids, async (cache) => {
      const needs = needsOf([...this.#policies, { needs: observe }]);
      const prompt = Array.from(ids);
      let logits: Logits | undefined;
      // Attention is given out by the last run alone, queries and sums by several.
      const sizes = { size: prefillChunk, last: needs.attention, inBlocks: layout.attendsInBlocks };
      for (const { start, end } of chunksAfter(cache.length, prompt.length, sizes)) {
        const rest = prompt.length - end;
        const seen = {
          queries: needs.queries > rest ? needs.queries : 0,
          attention: rest > 0 ? 0 : needs.attention,
          attentionSums: Math.max(0, needs.attentionSums - rest),
        };
        if (isRagged(cache)) cache.observe(seen);
        logits = await this.#run(cache, prompt.slice(start, end), 1);
      }
      this.#act(cache, this.#policies, "afterPrefill");
      return logitsRow(logits!, logits!.rows - 1);
    });
  }

  decode(id: number): Promise<Float32Array> {
    return this.#exclusively([id], async (cache) => {
      if (isRagged(cache)) cache.observe(stepNeedsOf(this.#policies));
      const logits = await this.#run(cache, [id], 1);
      this.#act(cache, this.#policies, "afterStep");
      return logitsRow(logits, logits.rows - 1);
    });
  }

  compress(policies: readonly Policy[]): void {
    const cache = this.#cache.available();
    checkPolicies(policies);
    checkGraph("compress", policies, this.#options.layout);
    this.#act(cache, beginPolicies(policies), "afterPrefill");
  }

  copy(): DecodingState {
    const cache = this.#cache.available();
    if (!isRagged(cache))
      throw new RuntimeError(
        "invalid-argument",
        "copy: expected a policy graph (model_policy.onnx), found another: load that one",
      );
    const contents = { cache: cache.copy(), tokens: this.#tokens, settled: this.#settled };
    return new CachedDecoding({ ...this.#options, ...contents });
  }

  #act(cache: KvCache, policies: readonly Policy[], time: PolicyTime): void {
    if (!isRagged(cache) || policies.length === 0) return;
    try {
      const hasDropped = applyPolicies(cache, policies, { time, ids: this.#tokens });
      if (hasDropped) this.#settled = cache.length;
    } catch (error) {
      // Layers before the one that failed may have dropped tokens.
      this.#settled = cache.length;
      throw error;
    }
  }

  forward(ids: ArrayLike<number>): Promise<Logits> {
    return this.#exclusively(ids, (cache) => {
      if (isRagged(cache)) cache.observe({});
      return this.#run(cache, ids, 0);
    });
  }

  truncate(length: number): void {
    const cache = this.#cache.available();
    if (!(Number.isInteger(length) && length >= 0 && length <= cache.length)) {
      throw new RuntimeError(
        "invalid-argument",
        `truncate: expected a length from 0 to ${cache.length}, the tokens there are, found ${length}`,
      );
    }
    if (length > 0 && length < this.#settled)
      throw new RuntimeError(
        "invalid-argument",
        `truncate: expected 0 or a length from ${this.#settled}, since policies have dropped tokens before, found ${length}`,
      );
    cache.truncate(length);
    this.#tokens.length = length;
    if (length === 0) this.#begin();
  }

  clear(): void {
    this.#cache.available().clear();
    this.#tokens = [];
    this.#begin();
  }

  #begin(): void {
    this.#settled = 0;
    this.#policies = beginPolicies(this.#options.policies ?? []);
  }

  save(model: string): SavedCache {
    const { layout, positionOf } = this.#options;
    const cache = this.#cache.available();
    if (isRagged(cache)) {
      const contents = { tokens: this.#tokens, firstPosition: positionOf(0), settled: this.#settled };
      return packRaggedCache(layout, contents, { layers: cache.layers, model });
    }
    const tensors = cache.tensors();
    return packCache(layout, { tokens: this.#tokens, firstPosition: positionOf(0), tensors }, model);
  }

  dispose(): void {
    this.#cache.dispose();
  }

  async #run(cache: KvCache, ids: ArrayLike<number>, logitsToKeep: number): Promise<Logits> {
    const past = cache.length;
    const positions = Array.from({ length: ids.length }, (_, index) =>
      this.#options.positionOf(past + index),
    );
    const { data, dims } = await runStep(this.#options, cache, { ids, positions, logitsToKeep });
    for (let i = 0; i < ids.length; i++) this.#tokens.push(ids[i]!);
    return { rows: dims[1]!, columns: dims[2]!, data: data as Float32Array };
  }

  async #exclusively<T>(ids: ArrayLike<number>, work: (cache: KvCache) => Promise<T>): Promise<T> {
    const { length } = this.#cache.available();
    const { positionOf, maxPositions, vocabularySize } = this.#options;
    checkTokens("DecodingState", ids, vocabularySize);
    checkPositions("DecodingState", positionOf(length + ids.length - 1) + 1, maxPositions);
    return this.#cache.use(work);
  }
}

const isRagged = (cache: KvCache): cache is RaggedCache => "observe" in cache;
