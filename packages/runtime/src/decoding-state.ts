import type { CacheLayout } from "./cache-layout.js";
import { checkPositions, checkTokens } from "./check-tokens.js";
import type { DecoderStep } from "./decoder-inputs.js";
import type { KvCache } from "./kv-cache.js";
import { type Logits, logitsRow } from "./logits.js";
import type { Feeds, Session } from "./port.js";
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
  interface Options {
    readonly session: Session;
    readonly inputs: (step: DecoderStep) => Feeds;
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
  readonly #session: Session;
  readonly #inputs: (step: DecoderStep) => Feeds;
  readonly #positionOf: (index: number) => number;
  readonly #maxPositions: number;
  readonly #vocabularySize: number;
  readonly #prefillChunk: number;
  readonly #layout: CacheLayout;
  #cache: KvCache | undefined;
  #tokens: number[];
  #busy = false;

  constructor(options: createDecodingState.Options) {
    this.#session = options.session;
    this.#inputs = options.inputs;
    this.#layout = options.layout;
    this.#cache = options.cache;
    this.#tokens = [...(options.tokens ?? [])];
    this.#positionOf = options.positionOf;
    this.#maxPositions = options.maxPositions;
    this.#vocabularySize = options.vocabularySize;
    this.#prefillChunk = options.prefillChunk;
  }

  get length(): number {
    return this.#cache?.length ?? 0;
  }

  get tokens(): readonly number[] {
    return this.#tokens;
  }

  get cacheBytes(): number {
    return this.#cache?.bytes ?? 0;
  }

  prefill(ids: ArrayLike<number>): Promise<Float32Array> {
    return this.#exclusively(ids, async (cache) => {
      const all = Array.from(ids);
      let logits: Logits | undefined;
      for (let start = 0; start < all.length; start += this.#prefillChunk) {
        logits = await this.#run(cache, all.slice(start, start + this.#prefillChunk), 1);
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
    const cache = this.#available();
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
    this.#available().clear();
    this.#tokens = [];
  }

  save(model: string): SavedCache {
    const tensors = this.#available().tensors();
    const contents = { tokens: this.#tokens, firstPosition: this.#positionOf(0), tensors };
    return packCache(this.#layout, contents, model);
  }

  dispose(): void {
    // The tensors of a run under way are still read, and it will leave others: they go when it is done.
    if (!this.#busy) this.#cache?.dispose();
    this.#cache = undefined;
  }

  async #run(cache: KvCache, ids: ArrayLike<number>, logitsToKeep: number): Promise<Logits> {
    cache.reserve(ids.length);
    const past = cache.length;
    const positions = Array.from({ length: ids.length }, (_, index) => this.#positionOf(past + index));
    const feeds = { ...this.#inputs({ ids, past, positions, logitsToKeep }), ...cache.feeds() };
    const results = await this.#session.run(feeds, { logits: null, ...cache.fetches() });
    cache.commit(results, positions);
    for (let i = 0; i < ids.length; i++) this.#tokens.push(ids[i]!);
    const { data, dims } = results.logits!;
    return { rows: dims[1]!, columns: dims[2]!, data: data as Float32Array };
  }

  /** Two runs at a time would both append behind the same tokens. */
  async #exclusively<T>(ids: ArrayLike<number>, work: (cache: KvCache) => Promise<T>): Promise<T> {
    const cache = this.#available();
    checkTokens("DecodingState", ids, this.#vocabularySize);
    checkPositions("DecodingState", this.#positionOf(cache.length + ids.length - 1) + 1, this.#maxPositions);
    this.#busy = true;
    try {
      return await work(cache);
    } finally {
      this.#busy = false;
      if (this.#cache === undefined) cache.dispose();
    }
  }

  #available(): KvCache {
    if (this.#cache === undefined) {
      throw new RuntimeError(
        "disposed",
        "DecodingState: used after dispose(): create another with model.createState()",
      );
    }
    if (this.#busy) {
      throw new RuntimeError(
        "busy",
        "DecodingState: one call at a time: await the last one, or create another state",
      );
    }
    return this.#cache;
  }
}
