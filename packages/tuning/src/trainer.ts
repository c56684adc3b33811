import type { DecoderParts, EmbeddingWeights } from "@kvfold/decoder";
import { HIDDEN_IN, HIDDEN_OUT, type MemoryModel } from "@kvfold/decoder/graph";
import {
  type AbortSignalLike,
  type SessionOptions,
  type SessionProvider,
  throwIfAborted,
} from "@kvfold/runtime";
import { type Adapter, parametersOf } from "./adapters.js";
import { backwardGraph, forwardGraph, GRADIENT } from "./block-graphs.js";
import { embedWindows } from "./embed-windows.js";
import type { Loss } from "./head-graph.js";
import { createHeadLoss, type HeadLoss } from "./head-loss.js";
import { runBlock, runWindows, type States, windowOf } from "./run-blocks.js";
import { createSessionStore, type SessionStore } from "./session-store.js";
import { feedsOf, floatsOf, parameterFeeds, rowsTensor } from "./tensors.js";

/** Computes the loss of a model with adapters, and its gradients, a block at a time. */
export interface Trainer {
  /**
   * The mean loss of windows, in nats per token. Windows have one token more than the model reads: the last is only
   * predicted.
   */
  loss(windows: readonly Int32Array[]): Promise<number>;
  /** The same with its gradients, an array for each parameter of each layer's adapters, in their order. */
  gradients(windows: readonly Int32Array[]): Promise<Gradients>;
  dispose(): Promise<void>;
}

export interface Gradients {
  readonly loss: number;
  /** By layer: one array for each of `parametersOf(adapters[layer])`. */
  readonly layers: readonly (readonly Float32Array[])[];
}

export declare namespace createTrainer {
  interface Options {
    /** The model that has the adapters; its embedding and head are those of `original`. */
    readonly model: Pick<DecoderParts, "block">;
    /** The model to be like. */
    readonly original: DecoderParts;
    /** By layer. Their values may change between calls. */
    readonly adapters: readonly (readonly Adapter[])[];
    /** What the additions are multiplied by. */
    readonly scale: number;
    readonly loss: Loss;
    readonly provider: SessionProvider;
    readonly session?: SessionOptions | undefined;
    /** Bytes of weights that stay open between uses: 1 GiB unless given. With 0, one block at a time. */
    readonly residentBytes?: number | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

const RESIDENT_BYTES = 2 ** 30;

/**
 * A trainer. In memory are one block of weights (or as many as `residentBytes` says), the hidden states between all blocks
 * over the windows of a call, the embedding and the head.
 *
 * @throws {RuntimeError} from its methods `aborted` when `signal` fires between two runs.
 */
export async function createTrainer(options: createTrainer.Options): Promise<Trainer> {
  const { original, loss, provider, session, residentBytes = RESIDENT_BYTES } = options;
  const sessions = createSessionStore({ provider, session, residentBytes });
  const embedding = await original.embedding();
  const head = { config: original.config, embedding, head: await original.head(), loss };
  // The head is used after every window.
  const headSessions = createSessionStore({ provider, session, residentBytes: Number.POSITIVE_INFINITY });
  const state = {
    ...options,
    embedding,
    sessions,
    headLoss: createHeadLoss({ ...head, sessions: headSessions }),
  };
  return {
    loss: async (windows) => {
      const { hidden, originals } = await runForward(state, windows);
      let total = 0;
      for (const [index, window] of windows.entries())
        total += await state.headLoss.loss(headRows(window, hidden.at(-1)![index]!, originals?.[index]));
      return total / countTokens(windows);
    },
    gradients: (windows) => findGradients(state, windows),
    async dispose() {
      await sessions.dispose();
      await headSessions.dispose();
    },
  };
}

interface State extends createTrainer.Options {
  readonly embedding: EmbeddingWeights;
  readonly sessions: SessionStore;
  readonly headLoss: HeadLoss;
}

const countTokens = (windows: readonly Int32Array[]): number =>
  windows.reduce((total, { length }) => total + length - 1, 0);

const headRows = (window: Int32Array, hidden: Float32Array, original: Float32Array | undefined) => ({
  hidden,
  original,
  next: window.subarray(1),
});

/** Hidden states before each block and after the last, and those of the original after its last where they are needed. */
async function runForward(state: State, windows: readonly Int32Array[]) {
  const { original, provider, embedding, loss } = state;
  const { config } = original;
  const texts = windows.map((window) => window.subarray(0, -1));
  const embedded = await embedWindows(provider, { config, embedding }, texts);
  const originals = loss === "distillation" ? await runOriginal(state, embedded) : undefined;
  const hidden: States[] = [embedded];
  for (let layer = 0; layer < config.shape.layers; layer++)
    hidden.push(await runLayer(state, layer, hidden[layer]!));
  return { hidden, originals };
}

async function runOriginal(state: State, embedded: States): Promise<States> {
  let hidden = embedded;
  for (let layer = 0; layer < state.original.config.shape.layers; layer++)
    hidden = await runBlock(state, state.original, layer, hidden);
  return hidden;
}

const runLayer = (state: State, layer: number, hidden: States): Promise<States> =>
  state.sessions.use(
    `forward ${layer}`,
    () => adaptedGraph(state, layer, hidden),
    (session) =>
      runWindows(session, hidden, {
        width: state.original.config.shape.hiddenSize,
        feeds: adapterFeeds(state, layer),
        signal: state.signal,
      }),
  );

const adapterFeeds = ({ adapters }: State, layer: number) => parameterFeeds(parametersOf(adapters[layer]!));

async function adaptedGraph(state: State, layer: number, hidden: States): Promise<MemoryModel> {
  const { model, original, adapters, scale } = state;
  return forwardGraph(await windowOf(original, model, layer, hidden), adapters[layer]!, scale);
}

async function findGradients(state: State, windows: readonly Int32Array[]): Promise<Gradients> {
  const { headLoss, adapters } = state;
  const { hidden, originals } = await runForward(state, windows);
  const tokens = countTokens(windows);
  let total = 0;
  let upstream: Float32Array[] = [];
  for (const [index, window] of windows.entries()) {
    const rows = headRows(window, hidden.at(-1)![index]!, originals?.[index]);
    const { loss, gradient } = await headLoss.gradient(rows, 1 / tokens);
    total += loss;
    upstream.push(gradient);
  }
  const layers: (readonly Float32Array[])[] = adapters.map(() => []);
  const first = adapters.findIndex(({ length }) => length > 0);
  for (let layer = adapters.length - 1; first >= 0 && layer >= first; layer--) {
    const found = await runBackward(state, layer, {
      hidden: hidden[layer]!,
      upstream,
      isLast: layer === first,
    });
    upstream = found.upstream;
    layers[layer] = found.gradients;
  }
  return { loss: total / tokens, layers };
}

interface BackwardStep {
  readonly hidden: States;
  readonly upstream: States;
  /** Whether nothing below asks for gradients. */
  readonly isLast: boolean;
}

/** Gradients of a layer's parameters, summed over the windows, and of what the layer reads. */
async function runBackward(state: State, layer: number, { hidden, upstream, isLast }: BackwardStep) {
  const { sessions, adapters, original, signal } = state;
  const width = original.config.shape.hiddenSize;
  const parameters = parametersOf(adapters[layer]!);
  const inputs = [...(isLast ? [] : [HIDDEN_IN]), ...parameters.map(({ name }) => name)];
  const make = async () => backwardGraph(await adaptedGraph(state, layer, hidden), inputs);
  return sessions.use(`backward ${layer}`, make, async (session) => {
    const feeds = adapterFeeds(state, layer);
    const gradients = parameters.map(({ values }) => new Float32Array(values.length));
    const next: Float32Array[] = [];
    for (const [index, states] of hidden.entries()) {
      throwIfAborted(signal);
      const given = {
        ...feeds,
        [HIDDEN_IN]: rowsTensor(states, width),
        [GRADIENT + HIDDEN_OUT]: rowsTensor(upstream[index]!, width),
      };
      const results = await session.run(feedsOf(session, given));
      for (const [i, { name }] of parameters.entries())
        addInto(gradients[i]!, floatsOf(results, GRADIENT + name));
      if (!isLast) next.push(floatsOf(results, GRADIENT + HIDDEN_IN));
    }
    return { gradients, upstream: next };
  });
}

function addInto(total: Float32Array, values: Float32Array): void {
  for (let i = 0; i < total.length; i++) total[i]! += values[i]!;
}
