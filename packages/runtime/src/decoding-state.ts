import type { CacheLayout } from "./cache-layout.js";
import { checkPositions, checkTokens } from "./check-tokens.js";
import { chunkBehind } from "./chunk-behind.js";
import { ExclusiveCache } from "./exclusive-cache.js";
import type { KvCache } from "./kv-cache.js";
import { type Logits, logitsRow } from "./logits.js";
import { runStep, type StepRunner } from "./run-step.js";
import { RuntimeError } from "./runtime-error.js";
import { packCache, type SavedCache } from "./saved-cache.js";

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
   * fails, the chunks before it stay.
   *
   * @throws {RuntimeError} `invalid-argument`, `too-many-positions`, `busy`, `disposed` or `run-failed`.
   */
  prefill(ids: ArrayLike<number>): Promise<Float32Array>;
  /** Appends one token and returns its logits `[vocabulary]`. Throws as `prefill`. */
  decode(id: number): Promise<Float32Array>;
  /** Appends tokens in one run and returns the logits `[S, vocabulary]` of all of them. Throws as `prefill`. */
  forward(ids: ArrayLike<number>): Promise<Logits>;
  /**
   * Forgets all tokens but the first `length`: what comes next is decoded as if the others had never been. An in-place
   * cache keeps its memory; a growing one copies what stays.
   *
   * @throws {RuntimeError} `invalid-argument` when there are fewer tokens; `busy` or `disposed`.
   */
  truncate(length: number): void;
  /**
   * The cache as the bytes of a file, which `model.loadState` reads: a conversation then goes on without being read again.
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

  constructor(options: createDecodingState.Options) {
    this.#options = options;
    this.#cache = new ExclusiveCache(options.cache, {
      name: "DecodingState",
      noun: "state",
      factory: "createState",
    });
    this.#tokens = [...(options.tokens ?? [])];
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

  prefill(ids: ArrayLike<number>): Promise<Float32Array> {
    const { prefillChunk } = this.#options;
    return this.#exclusively(ids, async (cache) => {
      const all = Array.from(ids);
      let logits: Logits | undefined;
      for (let start = 0; start < all.length; ) {
        const end = start + chunkBehind(cache.length, prefillChunk);
        logits = await this.#run(cache, all.slice(start, end), 1);
        start = end;
      }
      return logitsRow(logits!, logits!.rows - 1);
    });
  }

  decode(id: number): Promise<Float32Array> {
    return this.prefill([id]);
  }

  forward(ids: ArrayLike<number>): Promise<Logits> {
    return this.#exclusively(ids, (cache) => this.#run(cache, ids, 0));
  }

  truncate(length: number): void {
    const cache = this.#cache.available();
    if (!(Number.isInteger(length) && length >= 0 && length <= cache.length)) {
      throw new RuntimeError(
        "invalid-argument",
        `truncate: expected a length from 0 to ${cache.length}, the tokens there are, found ${length}`,
      );
    }
    cache.truncate(length);
    this.#tokens.length = length;
  }

  clear(): void {
    this.#cache.available().clear();
    this.#tokens = [];
  }

  save(model: string): SavedCache {
    const { layout, positionOf } = this.#options;
    const tensors = this.#cache.available().tensors();
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
