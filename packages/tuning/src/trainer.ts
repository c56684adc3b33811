import type { DecoderParts, EmbeddingWeights } from "@kvfold/decoder";
import { HIDDEN_IN, HIDDEN_OUT } from "@kvfold/decoder/graph";
import type { AbortSignalLike, SessionOptions, SessionProvider, Tensor } from "@kvfold/runtime";
import { type Adapter, parametersOf } from "./adapters.js";
import { forwardGraph, GRADIENT, PARAMETER_GRADIENTS, packedBackwardGraph } from "./block-graphs.js";
import { embedWindows } from "./embed-windows.js";
import type { Loss } from "./head-graph.js";
import { createHeadLoss, type HeadLoss } from "./head-loss.js";
import { createOriginalStates, type OriginalStates } from "./original-states.js";
import { overBatches, runBlock, runForward, type States, windowOf } from "./run-blocks.js";
import { createSessionStore, type SessionStore } from "./session-store.js";
import { openStreamPlace, type StreamPlace } from "./stream-place.js";
import { parameterFeeds } from "./tensors.js";
import { batchesOf, windowsAtOnce } from "./window-batches.js";

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
    /** Bytes of weights that stay open between uses: 1 GiB unless given. With 0, one block at a time. On a GPU all stay open. */
    readonly residentBytes?: number | undefined;
    /** Bytes of the original's last hidden states that are kept for windows that come again: 1 GiB unless given. */
    readonly originalBytes?: number | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

const [RESIDENT_BYTES, ORIGINAL_BYTES] = [2 ** 30, 2 ** 30];

/**
 * A trainer. In memory are one block of weights (or as many as `residentBytes` says), the hidden states between all blocks
 * over the windows of a call, the embedding and the head, and what `originalBytes` says of the original.
 *
 * With a provider whose sessions keep tensors on a GPU, hidden states and gradients stay there, and many windows go through a
 * block at once; adapters go there for each block, and their gradients come back at the end of a call.
 *
 * @throws {RuntimeError} from its methods `aborted` when `signal` fires between two runs.
 */
export async function createTrainer(options: createTrainer.Options): Promise<Trainer> {
  const {
    original,
    loss,
    provider,
    session,
    residentBytes = RESIDENT_BYTES,
    originalBytes = ORIGINAL_BYTES,
  } = options;
  const place = await openStreamPlace(provider, session);
  const resident = place.isDevice ? Number.POSITIVE_INFINITY : residentBytes;
  const sessions = createSessionStore({ provider, session, residentBytes: resident });
  const embedding = await original.embedding();
  const head = { config: original.config, embedding, head: await original.head(), loss };
  // The head is used after every window.
  const headSessions = createSessionStore({ provider, session, residentBytes: Number.POSITIVE_INFINITY });
  const headLoss = createHeadLoss({ ...head, place, sessions: headSessions });
  const known = createOriginalStates(place, originalBytes);
  const state = { ...options, embedding, place, sessions, headLoss, known, openSessions: headSessions };
  return {
    loss: (windows) => findLoss(state, windows),
    gradients: (windows) => findGradients(state, windows),
    async dispose() {
      // What lies in a place is given back before the sessions that wrote it.
      await place.dispose();
      await sessions.dispose();
      await headSessions.dispose();
    },
  };
}

interface State extends createTrainer.Options {
  readonly embedding: EmbeddingWeights;
  readonly place: StreamPlace;
  readonly sessions: SessionStore;
  readonly openSessions: SessionStore;
  readonly headLoss: HeadLoss;
  readonly known: OriginalStates;
}

type Batches = readonly (readonly Int32Array[])[];

/** One window at a time in the memory of the processor, whose caches are small; many on a GPU. */
function batchWindows({ place, original }: State, windows: readonly Int32Array[]): Batches {
  const length = windows[0]!.length - 1;
  return batchesOf(windows, place.isDevice ? windowsAtOnce(original.config, length) : 1);
}

const countTokens = (windows: readonly Int32Array[]): number =>
  windows.reduce((total, { length }) => total + length - 1, 0);

/** The token after each row of a batch. */
function nextTokens(batch: readonly Int32Array[]): Int32Array {
  const next = new Int32Array(countTokens(batch));
  for (const [index, window] of batch.entries()) next.set(window.subarray(1), index * (window.length - 1));
  return next;
}

const release = ({ place }: State, states: States = []): void => {
  for (const tensor of states) place.release(tensor);
};

async function findLoss(state: State, windows: readonly Int32Array[]): Promise<number> {
  const batches = batchWindows(state, windows);
  const { embedded, originals } = await embedBatches(state, batches);
  let hidden = embedded;
  for (let layer = 0; layer < state.original.config.shape.layers; layer++) {
    const below = hidden;
    hidden = await runLayer(state, layer, below);
    release(state, below);
  }
  let total = 0;
  for (const [index, batch] of batches.entries()) {
    const rows = { hidden: hidden[index]!, original: originals?.[index], next: nextTokens(batch) };
    total += await state.headLoss.loss(rows);
  }
  release(state, hidden);
  release(state, originals);
  return total / countTokens(windows);
}

/** Hidden states before the first block, and those of the original after its last where they are needed. */
async function embedBatches(state: State, batches: Batches) {
  const { original, loss } = state;
  const texts = batches.map((batch) => batch.map((window) => window.subarray(0, -1)));
  const embedded = await embedWindows({ ...state, config: original.config }, texts);
  const originals = loss === "distillation" ? await findOriginals(state, batches, embedded) : undefined;
  return { embedded, originals };
}

/** The original's last hidden states: those that are known, and the others from its blocks. */
async function findOriginals(state: State, batches: Batches, embedded: States): Promise<States> {
  const { known } = state;
  const found = batches.map((batch) => known.find(batch));
  const isNew = (_: unknown, index: number) => found[index] === undefined;
  const fresh = await runOriginal(state, embedded.filter(isNew));
  for (const [index, batch] of batches.filter(isNew).entries()) await known.keep(batch, fresh[index]!);
  const next = fresh.values();
  return found.map((states) => states ?? next.next().value!);
}

async function runOriginal(state: State, embedded: States): Promise<States> {
  let hidden = embedded;
  for (let layer = 0; layer < state.original.config.shape.layers; layer++) {
    const below = hidden;
    hidden = await runBlock(state, state.original, layer, below);
    if (below !== embedded) release(state, below);
  }
  return hidden;
}

function runLayer(state: State, layer: number, hidden: States): Promise<States> {
  const feeds = adapterFeeds(state, layer);
  const make = async (like: Tensor) => forwardGraph(...(await adaptedBlock(state, layer, like)));
  return overBatches(state, `forward ${layer}`, hidden, make, (session, batch) =>
    runForward(state.place, session, batch, feeds),
  );
}

const adapterFeeds = ({ adapters }: State, layer: number) => parameterFeeds(parametersOf(adapters[layer]!));

async function adaptedBlock(state: State, layer: number, like: Tensor) {
  const { model, original, adapters, scale, place } = state;
  const window = await windowOf(original, model, layer, like, place);
  return [window, { adapters: adapters[layer]!, scale }] as const;
}

async function findGradients(state: State, windows: readonly Int32Array[]): Promise<Gradients> {
  const { adapters, original } = state;
  const batches = batchWindows(state, windows);
  const { embedded, originals } = await embedBatches(state, batches);
  const hidden = [embedded];
  for (let layer = 0; layer < original.config.shape.layers; layer++)
    hidden.push(await runLayer(state, layer, hidden[layer]!));
  const tokens = countTokens(windows);
  const top = await runHead(state, batches, { hidden: hidden.pop()!, originals, weight: 1 / tokens });
  let { upstream } = top;
  const layers: (readonly Float32Array[])[] = [];
  const onDevice: States[] = [];
  const first = adapters.findIndex(({ length }) => length > 0);
  for (let layer = adapters.length - 1; first >= 0 && layer >= first; layer--) {
    const below = hidden.pop()!;
    const found = await runBackward(state, layer, { hidden: below, upstream, isLast: layer === first });
    release(state, below);
    release(state, upstream);
    upstream = found.below;
    // A GPU is still busy with them: waiting here would let it rest.
    if (state.place.isDevice) onDevice[layer] = found.gradients;
    else layers[layer] = await sumGradients(state, layer, found.gradients);
  }
  release(state, upstream);
  for (const states of hidden) release(state, states);
  for (const layer of adapters.keys())
    layers[layer] ??= await sumGradients(state, layer, onDevice[layer] ?? []);
  return { loss: top.loss / tokens, layers };
}

interface HeadStep {
  readonly hidden: States;
  readonly originals: States | undefined;
  readonly weight: number;
}

/** The summed loss of all batches, and the gradients of `weight` times it by the last hidden states. */
async function runHead(state: State, batches: Batches, { hidden, originals, weight }: HeadStep) {
  let total = 0;
  const upstream: Tensor[] = [];
  for (const [index, batch] of batches.entries()) {
    const rows = { hidden: hidden[index]!, original: originals?.[index], next: nextTokens(batch) };
    const { loss, gradient } = await state.headLoss.gradient(rows, weight);
    total += loss;
    upstream.push(gradient);
  }
  release(state, hidden);
  release(state, originals);
  return { loss: total, upstream: upstream as States };
}

interface BackwardStep {
  readonly hidden: States;
  readonly upstream: States;
  /** Whether nothing below asks for gradients. */
  readonly isLast: boolean;
}

/** Gradients of a layer's parameters, one after the other, for each batch; and of what the layer reads. */
async function runBackward(state: State, layer: number, { hidden, upstream, isLast }: BackwardStep) {
  const { adapters, place } = state;
  const count = parametersOf(adapters[layer]!).reduce((sum, { values }) => sum + values.length, 0);
  const feeds = adapterFeeds(state, layer);
  const make = async (like: Tensor) =>
    packedBackwardGraph(...(await adaptedBlock(state, layer, like)), !isLast);
  const results = await overBatches(state, `backward ${layer}`, hidden, make, (session, batch, index) => {
    const given = { ...feeds, [HIDDEN_IN]: batch, [GRADIENT + HIDDEN_OUT]: upstream[index]! };
    const below = isLast ? {} : { [GRADIENT + HIDDEN_IN]: batch.dims };
    return place.run(session, given, { [PARAMETER_GRADIENTS]: [count], ...below });
  });
  return {
    gradients: results.map((result) => result[PARAMETER_GRADIENTS]!),
    below: isLast ? [] : results.map((result) => result[GRADIENT + HIDDEN_IN]!),
  };
}

/** The gradients of a layer's parameters, read and summed over batches. */
async function sumGradients({ adapters, place }: State, layer: number, packed: States) {
  const parameters = parametersOf(adapters[layer]!);
  let sums: Float32Array | undefined;
  for (const batch of packed) {
    const found = await place.read(batch);
    place.release(batch);
    if (sums === undefined) sums = found;
    else for (let i = 0; i < sums.length; i++) sums[i]! += found[i]!;
  }
  let start = 0;
  return parameters.map(({ values }) => {
    const gradient = sums!.subarray(start, start + values.length);
    start += values.length;
    return gradient;
  });
}
