import { checkKept, checkSequences, refusedByBatch } from "./check-batch.js";
import { checkPositions, checkTokens } from "./check-tokens.js";
import { chunksAfter, SHORTEST_CHUNK } from "./chunk-after.js";
import type { DeltaCache } from "./delta-cache.js";
import { ExclusiveCache } from "./exclusive-cache.js";
import type { Logits } from "./logits.js";
import { runStep, type StepRunner } from "./run-step.js";

/** Several sequences that are decoded at once, each with its own length. One call at a time. */
export interface DecodingBatch {
  /** Sequences in the batch. */
  readonly size: number;
  /** Bytes of their cache. */
  readonly cacheBytes: number;
  /**
   * Tokens that there is still room for after every sequence. Where keys are turned by their slots, padding takes room, too:
   * the longest prompt counts for all, also after its sequence has ended.
   */
  readonly room: number;
  /** Slots of the cache that each sequence takes, those without a token included. */
  readonly slots: number;
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
   * Whether a prompt of so many tokens can join now. Where keys are turned by their slots, it can be no longer than the
   * slots that the others take.
   */
  takes(length: number): boolean;
  /**
   * Reads prompts of further sequences between two steps of the others. They come after those, whose cache is copied once.
   * Returns the logits `[new, vocabulary]` of their last tokens. When it fails the others go on as they were.
   *
   * @throws {RuntimeError} `invalid-argument` for a prompt that `takes` refuses, or before `prefill`; and as `prefill`.
   */
  join(prompts: readonly ArrayLike<number>[]): Promise<Logits>;
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
  interface Options extends StepRunner {
    readonly createCache: (sequences: number) => DeltaCache;
    readonly size: number;
    readonly maxPositions: number;
    readonly vocabularySize: number;
    /** Whether keys are turned by their slots, for which there are as many rotations as positions. */
    readonly countsSlots: boolean;
    /** Tokens that are run at a time, over all sequences. */
    readonly prefillChunk: number;
    /** Whether the graph attends to a block of queries at a time. */
    readonly inBlocks?: boolean | undefined;
  }
}

/**
 * Starts a batch over an empty cache. Prompts are aligned at their ends: a shorter one has empty slots before it, which no
 * token attends to.
 */
export function createDecodingBatch(options: createDecodingBatch.Options): DecodingBatch {
  return new PaddedBatch(options);
}

class PaddedBatch implements DecodingBatch {
  readonly #options: createDecodingBatch.Options;
  readonly #cache: ExclusiveCache<DeltaCache>;
  /** The slot of each sequence's first token. */
  #starts: readonly number[];

  constructor(options: createDecodingBatch.Options) {
    this.#options = options;
    this.#cache = new ExclusiveCache(options.createCache(options.size), {
      name: "DecodingBatch",
      noun: "batch",
      factory: "createBatch",
    });
    this.#starts = Array.from({ length: options.size }, () => 0);
  }

  get size(): number {
    return this.#starts.length;
  }

  get cacheBytes(): number {
    return this.#cache.current?.bytes ?? 0;
  }

  get room(): number {
    return this.#options.maxPositions - this.#used();
  }

  get slots(): number {
    return this.#cache.current?.length ?? 0;
  }

  prefill(prompts: readonly ArrayLike<number>[]): Promise<Logits> {
    return this.#exclusively(prompts, async (cache) => {
      if (cache.length > 0) throw refusedByBatch("expected prefill before anything is decoded, found tokens");
      const longest = longestOf(prompts);
      this.#starts = prompts.map(({ length }) => longest - length);
      return this.#read(cache, prompts, this.#starts);
    });
  }

  takes(length: number): boolean {
    const { slots } = this;
    const { countsSlots, maxPositions } = this.#options;
    return slots > 0 && length <= (countsSlots ? slots : maxPositions);
  }

  async join(prompts: readonly ArrayLike<number>[]): Promise<Logits> {
    const { vocabularySize, createCache } = this.#options;
    this.#cache.available();
    for (const prompt of prompts) {
      checkTokens("DecodingBatch", prompt, vocabularySize);
      if (!this.takes(prompt.length))
        throw refusedByBatch(
          `expected a prompt that can join (takes), found one of ${prompt.length} tokens; wait, or begin another batch`,
        );
    }
    return this.#cache.use(async (cache) => {
      const end = Math.max(cache.length, longestOf(prompts));
      const gap = end - cache.length;
      const added = createCache(prompts.length);
      added.leaveEmpty(end - longestOf(prompts));
      const starts = prompts.map(({ length }) => end - length);
      const logits = await this.#read(added, prompts, starts);
      cache.leaveEmpty(gap);
      cache.add(added);
      added.dispose();
      this.#starts = [...this.#starts.map((start) => start + gap), ...starts];
      return logits;
    });
  }

  decode(ids: ArrayLike<number>): Promise<Logits> {
    const tokens = Array.from(ids, (id) => [id]);
    return this.#exclusively(tokens, (cache) => this.#run(cache, this.#starts, Array.from(ids)));
  }

  keep(sequences: readonly number[]): void {
    const cache = this.#cache.available();
    checkKept(sequences, this.size);
    const starts = sequences.map((sequence) => this.#starts[sequence]!);
    const emptySlots = this.#options.countsSlots ? 0 : Math.min(cache.length, ...starts);
    cache.keep(sequences, emptySlots);
    this.#starts = starts.map((start) => start - emptySlots);
  }

  dispose(): void {
    this.#cache.dispose();
  }

  /** Positions that are used up, of the longest sequence or of all slots. */
  #used(): number {
    const { slots } = this;
    if (slots === 0 || this.#options.countsSlots) return slots;
    return slots - Math.min(...this.#starts);
  }

  /** Reads prompts into the slots after those of the cache, a chunk at a time. */
  async #read(
    cache: DeltaCache,
    prompts: readonly ArrayLike<number>[],
    starts: readonly number[],
  ): Promise<Logits> {
    const past = cache.length;
    const count = starts[0]! + prompts[0]!.length - past;
    const { prefillChunk, inBlocks } = this.#options;
    const size = Math.max(SHORTEST_CHUNK, Math.floor(prefillChunk / prompts.length));
    let logits: Logits | undefined;
    for (const { start, end } of chunksAfter(past, count, { size, inBlocks }))
      logits = await this.#run(cache, starts, padded(prompts, starts, past + start, past + end));
    return logits!;
  }

  /** Runs tokens `[B, S]` of sequences that begin at `starts`. */
  async #run(cache: DeltaCache, starts: readonly number[], ids: readonly number[]): Promise<Logits> {
    const sequences = starts.length;
    const past = cache.length;
    const positions = starts.flatMap((start) =>
      Array.from({ length: ids.length / sequences }, (_, index) => Math.max(past + index - start, -1)),
    );
    const step = { sequences, ids, positions, logitsToKeep: 1 };
    const { data, dims } = await runStep(this.#options, cache, step);
    return { rows: sequences, columns: dims[2]!, data: data as Float32Array };
  }

  async #exclusively<T>(
    tokens: readonly ArrayLike<number>[],
    work: (cache: DeltaCache) => Promise<T>,
  ): Promise<T> {
    const { length } = this.#cache.available();
    const { vocabularySize, maxPositions } = this.#options;
    checkSequences(tokens.length, this.size);
    for (const [index, ids] of tokens.entries()) {
      checkTokens("DecodingBatch", ids, vocabularySize);
      const before = length === 0 ? 0 : length - this.#starts[index]!;
      checkPositions("DecodingBatch", before + ids.length, maxPositions);
    }
    if (length > 0) checkPositions("DecodingBatch", this.#used() + 1, maxPositions);
    return this.#cache.use(work);
  }
}

const longestOf = (prompts: readonly ArrayLike<number>[]): number =>
  Math.max(...prompts.map(({ length }) => length));

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
