import { checkPositions, checkTokens } from "./check-tokens.js";
import type { DecoderStep } from "./decoder-inputs.js";
import type { DeltaCache } from "./delta-cache.js";
import type { Logits } from "./logits.js";
import type { Feeds, Session } from "./port.js";
import { RuntimeError } from "./runtime-error.js";

/** Several sequences that are decoded at once, each with its own length. One call at a time. */
export interface DecodingBatch {
  /** Sequences in the batch. */
  readonly size: number;
  /** Bytes of their cache. */
  readonly cacheBytes: number;
  /**
   * Reads a prompt for each sequence and returns the logits `[B, vocabulary]` of their last tokens. Once, before anything
   * is decoded.
   *
   * @throws {RuntimeError} `invalid-argument`, `too-many-positions`, `busy`, `disposed` or `run-failed`.
   */
  prefill(prompts: readonly ArrayLike<number>[]): Promise<Logits>;
  /** Appends one token to each sequence and returns their logits `[B, vocabulary]`. Throws as `prefill`. */
  decode(ids: ArrayLike<number>): Promise<Logits>;
  /**
   * Goes on with some of the sequences, in the order given; the others' cache is given back.
   *
   * @throws {RuntimeError} `invalid-argument` for a sequence that is not there or named twice; `busy` or `disposed`.
   */
  keep(sequences: readonly number[]): void;
  /** Gives back the memory of the cache, as soon as a call that is under way is done. */
  dispose(): void;
}

export declare namespace createDecodingBatch {
  interface Options {
    readonly session: Session;
    readonly inputs: (step: DecoderStep) => Feeds;
    readonly cache: DeltaCache;
    readonly size: number;
    readonly maxPositions: number;
    readonly vocabularySize: number;
    /** Tokens that are run at a time, over all sequences. */
    readonly prefillChunk: number;
  }
}

/** Shorter chunks of a prompt would cost more runs than they save memory. */
const SHORTEST_CHUNK = 32;

/**
 * Starts a batch over an empty cache. Prompts are aligned at their ends: a shorter one has empty slots before it, which no
 * token attends to.
 */
export function createDecodingBatch(options: createDecodingBatch.Options): DecodingBatch {
  return new PaddedBatch(options);
}

class PaddedBatch implements DecodingBatch {
  readonly #options: createDecodingBatch.Options;
  #cache: DeltaCache | undefined;
  /** The slot of each sequence's first token. */
  #starts: readonly number[];
  #busy = false;

  constructor(options: createDecodingBatch.Options) {
    this.#options = options;
    this.#cache = options.cache;
    this.#starts = Array.from({ length: options.size }, () => 0);
  }

  get size(): number {
    return this.#starts.length;
  }

  get cacheBytes(): number {
    return this.#cache?.bytes ?? 0;
  }

  prefill(prompts: readonly ArrayLike<number>[]): Promise<Logits> {
    return this.#exclusively(prompts, async (cache) => {
      if (cache.length > 0) throw refused("expected prefill before anything is decoded, found tokens");
      const longest = Math.max(...prompts.map(({ length }) => length));
      this.#starts = prompts.map(({ length }) => longest - length);
      const chunk = Math.max(SHORTEST_CHUNK, Math.floor(this.#options.prefillChunk / this.size));
      let logits: Logits | undefined;
      for (let start = 0; start < longest; start += chunk) {
        const end = Math.min(start + chunk, longest);
        logits = await this.#run(cache, padded(prompts, this.#starts, start, end));
      }
      return logits!;
    });
  }

  decode(ids: ArrayLike<number>): Promise<Logits> {
    const tokens = Array.from(ids, (id) => [id]);
    return this.#exclusively(tokens, (cache) => this.#run(cache, Array.from(ids)));
  }

  keep(sequences: readonly number[]): void {
    const cache = this.#available();
    const isThere = (sequence: number) => this.#starts[sequence] !== undefined;
    if (!sequences.every(isThere) || new Set(sequences).size < sequences.length)
      throw refused(`expected different sequences below ${this.size}, found ${sequences.join(", ")}`);
    cache.keep(sequences);
    this.#starts = sequences.map((sequence) => this.#starts[sequence]!);
  }

  dispose(): void {
    if (!this.#busy) this.#cache?.dispose();
    this.#cache = undefined;
  }

  /** Runs tokens `[B, S]`. */
  async #run(cache: DeltaCache, ids: readonly number[]): Promise<Logits> {
    const { session, inputs } = this.#options;
    const sequences = this.size;
    const [past, count] = [cache.length, ids.length / sequences];
    const positions = this.#starts.flatMap((start) =>
      Array.from({ length: count }, (_, index) => Math.max(past + index - start, -1)),
    );
    const feeds = { ...inputs({ sequences, ids, past, positions, logitsToKeep: 1 }), ...cache.feeds() };
    const results = await session.run(feeds, { logits: null, ...cache.fetches() });
    cache.commit(results, positions);
    const { data, dims } = results.logits!;
    return { rows: sequences, columns: dims[2]!, data: data as Float32Array };
  }

  async #exclusively<T>(
    tokens: readonly ArrayLike<number>[],
    work: (cache: DeltaCache) => Promise<T>,
  ): Promise<T> {
    const cache = this.#available();
    const { vocabularySize, maxPositions } = this.#options;
    if (tokens.length !== this.size)
      throw refused(`expected tokens for ${this.size} sequences, found them for ${tokens.length}`);
    for (const [index, ids] of tokens.entries()) {
      checkTokens("DecodingBatch", ids, vocabularySize);
      const before = cache.length === 0 ? 0 : cache.length - this.#starts[index]!;
      checkPositions("DecodingBatch", before + ids.length, maxPositions);
    }
    this.#busy = true;
    try {
      return await work(cache);
    } finally {
      this.#busy = false;
      if (this.#cache === undefined) cache.dispose();
    }
  }

  #available(): DeltaCache {
    if (this.#cache === undefined)
      throw new RuntimeError(
        "disposed",
        "DecodingBatch: used after dispose(): create another with model.createBatch()",
      );
    if (this.#busy)
      throw new RuntimeError(
        "busy",
        "DecodingBatch: one call at a time: await the last one, or create another batch",
      );
    return this.#cache;
  }
}

/** Tokens in slots `[start, end)` of prompts that begin at `starts`, `[B, end - start]`; 0 where there are none yet. */
const padded = (
  prompts: readonly ArrayLike<number>[],
  starts: readonly number[],
  start: number,
  end: number,
): readonly number[] =>
  prompts.flatMap((prompt, sequence) =>
    Array.from({ length: end - start }, (_, index) => prompt[start + index - starts[sequence]!] ?? 0),
  );

const refused = (message: string): RuntimeError =>
  new RuntimeError("invalid-argument", `DecodingBatch: ${message}`);
