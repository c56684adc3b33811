import { checkPolicies, type Policy, type PolicyNeeds } from "@kvfold/policies/check";
import type { ByteSource } from "@kvfold/safetensors";
import { checkGraph } from "./apply-policies.js";
import { type CacheKind, type CacheLayout, readCacheLayout } from "./cache-layout.js";
import { planDecoderInputs } from "./decoder-inputs.js";
import { createDecodingBatch, type DecodingBatch } from "./decoding-batch.js";
import { createDecodingState, type DecodingState } from "./decoding-state.js";
import { createDeltaCache } from "./delta-cache.js";
import { createGrowingCache, createInPlaceCache, type KvCache } from "./kv-cache.js";
import type { Logits } from "./logits.js";
import type { Session } from "./port.js";
import { createRaggedCache } from "./ragged-cache.js";
import { RuntimeError } from "./runtime-error.js";
import { unpackCache } from "./saved-cache.js";
import { unpackRaggedCache } from "./saved-ragged-cache.js";
import { createSeparateBatch } from "./separate-batch.js";
import { findShiftObstacle, type ShiftObstacle } from "./shift-obstacle.js";

/** A decoder with a KV cache. It does not own its session: dispose that yourself. */
export interface CausalLM {
  readonly cacheLayout: CacheLayout;
  /** Where decoding states keep their cache. */
  readonly cacheKind: CacheKind;
  /** Columns of the logits, where the graph declares them as a number. */
  readonly vocabularySize: number | undefined;
  readonly maxPositions: number;
  /**
   * An empty sequence to decode, whose tokens stand at `firstPosition` and after it.
   *
   * @throws {RuntimeError} `invalid-argument` for a first position other than 0 that the graph cannot be told, and for policies
   *   on another graph than a policy graph.
   * @throws {PolicyError} for policies that do not go together.
   */
  createState(options?: CausalLM.StateOptions): DecodingState;
  /**
   * The sequence that a state has saved, to go on with.
   *
   * @param model - As it was saved with.
   * @throws {RuntimeError} `cache-unreadable` for a file that is not a saved cache, is damaged, or belongs to another model;
   *   `unsupported-model` where caches lie in the memory of a GPU.
   */
  loadState(source: ByteSource, model: string, options?: CausalLM.CacheOptions): Promise<DecodingState>;
  /**
   * Several sequences to decode at once. A graph that takes one sequence at a time decodes them one after the other.
   *
   * @throws {RuntimeError} `invalid-argument` for a size that is not a positive whole number.
   */
  createBatch(options: CausalLM.BatchOptions): DecodingBatch;
  /**
   * Logits `[S, vocabulary]` of all positions of a sequence, in one run.
   *
   * @throws {RuntimeError} `invalid-argument`, `too-many-positions` or `run-failed`.
   */
  forward(ids: ArrayLike<number>): Promise<Logits>;
  /**
   * Runs a few tokens at different positions and tells why texts of this model cannot be moved to another first position;
   * undefined where they can.
   *
   * @throws {RuntimeError} `run-failed`.
   */
  findShiftObstacle(): Promise<ShiftObstacle | undefined>;
}

export declare namespace CausalLM {
  interface StateOptions extends CacheOptions {
    /** Position of the sequence's first token, 0 unless given. */
    readonly firstPosition?: number | undefined;
  }
  interface CacheOptions {
    /**
     * What drops or merges tokens of the cache, one after the other: policies, which `parsePolicies` of `@kvfold/policies`
     * reads by their names. The model must be loaded from its policy graph.
     */
    readonly cache?: readonly Policy[] | undefined;
    /** What `compress` may look at later, beside what these policies do. */
    readonly observe?: PolicyNeeds | undefined;
  }
  interface BatchOptions {
    /** Sequences, 1 or more. */
    readonly size: number;
  }
}

export declare namespace createCausalLM {
  interface Options {
    /**
     * `in-place` writes new keys and values into the cache, `growing` takes over the tensors that the graph returns,
     * `auto` (the default) picks `in-place` where session and graph both say that they can. Say `in-place` yourself only
     * for a graph whose attention is com.microsoft GroupQueryAttention: others then compute wrong results. A delta decoder
     * has a cache of its own kind, whatever this says.
     */
    readonly cache?: "auto" | "in-place" | "growing";
    /** Positions that the model was trained on or has tables for. No limit by default. */
    readonly maxPositions?: number | undefined;
    /**
     * Tokens of a prompt that are run at a time, 512 unless given; fewer after more than 2048 tokens. A bound on the memory of
     * attention and logits. Graphs whose attention bounds its own scores (`CacheLayout.attendsInBlocks`) run up to twice as
     * many after long texts.
     */
    readonly prefillChunk?: number;
    /** Tokens that an in-place cache has room for at first. It doubles when full. */
    readonly initialCapacity?: number;
    /**
     * `[L]`, for cache policies that look at rotations: radians per token of each layer's rotary pairs, half-split, for layers
     * that cache rotated keys as they are. `rotaryFrequencies` of `@kvfold/decoder` reads them from a config.
     */
    readonly inverseFrequencies?: readonly (Float64Array | undefined)[] | undefined;
  }
}

/**
 * Makes a language model of a session over a decoder graph: inputs `input_ids`, and `attention_mask`, `position_ids`,
 * `num_logits_to_keep` if declared, `past_key_values.N.key|value`; outputs `logits` `[B, S, vocabulary]` float32 and
 * `present.N.key|value`; or a delta decoder (`readCacheLayout`), which also takes batches, or a policy graph, whose
 * states take policies.
 *
 * @throws {RuntimeError} `unsupported-model` when the graph is another; `invalid-argument` for an option out of range,
 *   or `cache: "in-place"` on a session that cannot write in place.
 */
export function createCausalLM(session: Session, options: createCausalLM.Options = {}): CausalLM {
  const {
    cache = "auto",
    maxPositions = Number.POSITIVE_INFINITY,
    prefillChunk = 512,
    initialCapacity = 256,
    inverseFrequencies = [],
  } = options;
  checkPositive("createCausalLM", { maxPositions, prefillChunk, initialCapacity });
  const cacheLayout = readCacheLayout(session);
  const cacheKind = chooseCache(cache, session, cacheLayout);
  const vocabularySize = readVocabularySize(session);
  const inputs = planDecoderInputs(session, cacheLayout);
  const { memory } = session;
  const ragged = { inverseFrequencies, writesInPlace: session.writesInPlace && memory === undefined };
  const createCache = (capacity: number): KvCache => {
    if (cacheKind === "delta") return createDeltaCache(cacheLayout);
    if (cacheKind === "ragged") return createRaggedCache(cacheLayout, ragged);
    return cacheKind === "in-place"
      ? createInPlaceCache(cacheLayout, { capacity, limit: maxPositions, memory })
      : createGrowingCache(cacheLayout, { memory });
  };
  const takesPositions = session.inputs.some(({ name }) => name === "position_ids");
  const createStateAt = (
    positionOf: (index: number) => number,
    cache = createCache(initialCapacity),
    tokens: readonly number[] = [],
    policies: Pick<createDecodingState.Options, "policies" | "observe" | "settled"> = {},
  ): DecodingState =>
    createDecodingState({
      session,
      inputs,
      layout: cacheLayout,
      cache,
      tokens,
      positionOf,
      maxPositions,
      vocabularySize: vocabularySize ?? Number.POSITIVE_INFINITY,
      prefillChunk,
      ...policies,
    });
  return {
    cacheLayout,
    cacheKind,
    vocabularySize,
    maxPositions,
    createState({ firstPosition = 0, ...actions } = {}) {
      checkFirstPosition(firstPosition, takesPositions);
      const acting = actionsOf("createState", actions, cacheLayout);
      return createStateAt((index) => firstPosition + index, createCache(initialCapacity), [], acting);
    },
    async loadState(source, model, actions = {}) {
      const acting = actionsOf("loadState", actions, cacheLayout);
      if (cacheKind === "ragged") {
        const { tokens, firstPosition, settled, layers } = await unpackRaggedCache(
          cacheLayout,
          source,
          model,
        );
        const cache = createRaggedCache(cacheLayout, ragged);
        cache.fill(layers, tokens.length, firstPosition);
        return createStateAt((index) => firstPosition + index, cache, tokens, { ...acting, settled });
      }
      if (memory !== undefined && cacheKind !== "delta")
        throw new RuntimeError(
          "unsupported-model",
          "loadState: expected a model whose caches lie in the memory of the CPU, found one that keeps them on a GPU: run it on the CPU",
        );
      const { tokens, firstPosition, tensors } = await unpackCache(cacheLayout, source, model);
      const cache = createCache(Math.max(tokens.length, initialCapacity));
      const positionOf = (index: number) => firstPosition + index;
      cache.restore(
        tensors,
        tokens.map((_, index) => positionOf(index)),
      );
      return createStateAt(positionOf, cache, tokens);
    },
    createBatch({ size }) {
      checkPositive("createBatch", { size });
      const shared = { session, inputs, maxPositions, prefillChunk, size };
      return cacheKind === "delta"
        ? createDecodingBatch({
            ...shared,
            inBlocks: cacheLayout.attendsInBlocks,
            createCache: (sequences) => createDeltaCache(cacheLayout, { sequences }),
            vocabularySize: vocabularySize ?? Number.POSITIVE_INFINITY,
            countsSlots: cacheLayout.indexInputs.includes("past_length"),
          })
        : createSeparateBatch(() => createStateAt((index) => index), size, maxPositions);
    },
    async forward(ids) {
      const state = createStateAt((index) => index, createCache(Math.max(ids.length, 1)));
      try {
        return await state.forward(ids);
      } finally {
        state.dispose();
      }
    },
    async findShiftObstacle() {
      return takesPositions
        ? findShiftObstacle((positionOf) => createStateAt(positionOf), { vocabularySize, maxPositions })
        : "no-position-input";
    },
  };
}

/** What acts on the cache of a state. */
function actionsOf(
  caller: string,
  { cache: policies = [], observe }: CausalLM.CacheOptions,
  layout: CacheLayout,
): Pick<createDecodingState.Options, "policies" | "observe"> {
  checkPolicies(policies);
  if (policies.length === 0 && observe === undefined) return {};
  checkGraph(caller, policies, layout, observe);
  return { policies, observe };
}

function checkFirstPosition(firstPosition: number, takesPositions: boolean): void {
  if (firstPosition === 0) return;
  if (!(Number.isSafeInteger(firstPosition) && firstPosition > 0)) {
    throw new RuntimeError(
      "invalid-argument",
      `createState: expected firstPosition as a whole number from 0, found ${firstPosition}`,
    );
  }
  if (takesPositions) return;
  throw new RuntimeError(
    "invalid-argument",
    `createState: expected firstPosition 0, since the graph has no input position_ids, found ${firstPosition}`,
  );
}

function chooseCache(
  wanted: "auto" | "in-place" | "growing",
  { writesInPlace }: Session,
  { kind }: CacheLayout,
): CacheKind {
  if (kind === "delta" || kind === "ragged") return kind;
  if (wanted === "auto") return writesInPlace ? kind : "growing";
  if (wanted === "in-place" && !writesInPlace) {
    throw new RuntimeError(
      "invalid-argument",
      'createCausalLM: expected cache "auto" or "growing", found "in-place": this runtime never writes into given outputs',
    );
  }
  return wanted;
}

function readVocabularySize({ outputs }: Session): number | undefined {
  const logits = outputs.find(({ name }) => name === "logits");
  if (logits === undefined || logits.shape.length !== 3) {
    throw new RuntimeError(
      "unsupported-model",
      "createCausalLM: expected an output logits [B, S, vocabulary], found none",
    );
  }
  if (logits.type !== "float32") {
    throw new RuntimeError(
      "unsupported-model",
      `createCausalLM: expected float32 logits, found ${logits.type}: end the graph with a Cast to float32`,
    );
  }
  const size = logits.shape[2];
  return typeof size === "number" ? size : undefined;
}

function checkPositive(what: string, options: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value >= 1 && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY)) continue;
    throw new RuntimeError("invalid-argument", `${what}: expected ${name} of at least 1, found ${value}`);
  }
}
