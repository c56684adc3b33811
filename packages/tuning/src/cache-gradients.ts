import type { DecoderParts, EmbeddingWeights } from "@kvfold/decoder";
import { type BlockWindow, HIDDEN_IN, HIDDEN_OUT } from "@kvfold/decoder/graph";
import type { AbortSignalLike, SessionProvider, Tensor } from "@kvfold/runtime";
import {
  backwardGraph,
  type CacheValue,
  GRADIENT,
  type NamedGraph,
  namedForwardGraph,
} from "./block-graphs.js";
import { embedWindows } from "./embed-windows.js";
import { createHeadLoss, type HeadLoss } from "./head-loss.js";
import { type BlockRun, overBatches, runBlock, type States, windowOf } from "./run-blocks.js";
import { createSessionStore, type SessionStore } from "./session-store.js";
import { openStreamPlace } from "./stream-place.js";
import { floatsOf } from "./tensors.js";
import { drawnTokens, type TokenSource } from "./token-source.js";
import { batchesOf } from "./window-batches.js";

/** Gradients of one window by the values of one layer, `[S, Hkv * d]`. */
export type LayerGradients = Readonly<Partial<Record<CacheValue, Float32Array>>>;

/**
 * Which next tokens the loss is computed for: tokens that are `drawn` from the model's own predictions, or those of the `text`.
 * With drawn tokens, the second moment of the gradients is the Fisher information `F` (Martens, "New insights and perspectives on
 * the natural gradient method", 2020): a small error `e` changes the predictions by a divergence of `e F eᵀ / 2`. With tokens of
 * the text, it also contains what the model has yet to learn.
 */
export type NextTokens = "drawn" | "text";

export declare namespace cacheGradients {
  interface Options {
    /** An unfolded decoder. */
    readonly model: DecoderParts;
    /** Token ids, windows of one length: for `text` of one token more than the model reads, which is only predicted. */
    readonly windows: readonly Int32Array[];
    readonly tokens: NextTokens;
    readonly values: readonly CacheValue[];
    /** Of the tokens that are drawn. */
    readonly seed: number;
    /**
     * Which window of the text `windows` begin with, 0 unless given. Each window has the tokens that are drawn for it when all
     * windows of the text are given at once, so that parts of a text add up.
     */
    readonly first?: number | undefined;
    readonly provider: SessionProvider;
    /** Told of each layer, from the last to the first, for some of the windows at a time. */
    readonly onLayer: (layer: number, gradients: readonly LayerGradients[]) => Promise<void>;
    /** Bytes that the hidden states between all blocks may take: 1 GiB unless given. At least one window is run at a time. */
    readonly streamBytes?: number | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

const STREAM_BYTES = 2 ** 30;

/**
 * The gradient of a loss by every number of a model's cache: the cross-entropy of next tokens, in nats and summed over a window.
 *
 * It goes through the model a block at a time, as `createTrainer` does: in memory are one block, the head, and the hidden
 * states between all blocks.
 *
 * Numerics: float32.
 *
 * @throws {RuntimeError} `aborted` when `signal` fires between two runs.
 */
export async function cacheGradients(options: cacheGradients.Options): Promise<void> {
  const { model, windows, tokens, provider, seed, first = 0 } = options;
  const parts = { config: model.config, embedding: await model.embedding(), head: await model.head() };
  const place = await openStreamPlace(provider);
  // A block is used for all windows at once, so none stays open unless it has to; the head is used after every window.
  const residentBytes = place.isDevice ? Number.POSITIVE_INFINITY : 0;
  const sessions = createSessionStore({ provider, session: undefined, residentBytes });
  const headSessions = createSessionStore({
    provider,
    session: undefined,
    residentBytes: Number.POSITIVE_INFINITY,
  });
  const loss = createHeadLoss({ ...parts, loss: "text", sessions: headSessions, place });
  const before = first * windows[0]!.length;
  const draw = drawnTokens({ parts, sessions: headSessions, seed, before });
  const follow = tokens === "text" ? textWindow : drawnWindow(draw);
  const run = { ...options, sessions, place, openSessions: headSessions, embedding: parts.embedding, loss };
  try {
    for (const some of batchesOf(windows, windowsInMemory(options))) await runBatch(run, some.map(follow));
  } finally {
    await place.dispose();
    await headSessions.dispose();
    await sessions.dispose();
  }
}

/** A window, and what is to follow its tokens once the model has read it. */
interface Followed {
  readonly tokens: Int32Array;
  readonly next: TokenSource;
}

const textWindow = (window: Int32Array): Followed => ({
  tokens: window.subarray(0, -1),
  next: async () => window.subarray(1),
});

const drawnWindow =
  (next: TokenSource) =>
  (tokens: Int32Array): Followed => ({ tokens, next });

/** Windows whose hidden states between all blocks fit into `streamBytes`, or one. */
function windowsInMemory({ model, windows, streamBytes = STREAM_BYTES }: cacheGradients.Options): number {
  const { layers, hiddenSize } = model.config.shape;
  const bytes = 4 * (layers + 1) * windows[0]!.length * hiddenSize;
  return Math.max(1, Math.floor(streamBytes / bytes));
}

interface Run extends cacheGradients.Options, BlockRun {
  readonly embedding: EmbeddingWeights;
  readonly openSessions: SessionStore;
  readonly loss: HeadLoss;
}

async function runBatch(run: Run, windows: readonly Followed[]): Promise<void> {
  const { place, loss } = run;
  const hidden = await runForward(
    run,
    windows.map(({ tokens }) => tokens),
  );
  const upstream: Tensor[] = [];
  for (const [index, last] of hidden.at(-1)!.entries()) {
    const rows = {
      hidden: last,
      original: undefined,
      next: await windows[index]!.next(await place.read(last)),
    };
    upstream.push((await loss.gradient(rows, 1)).gradient);
  }
  await runBackward(run, hidden, upstream);
  for (const states of hidden) release(run, states);
}

const release = ({ place }: Run, states: States): void => {
  for (const tensor of states) place.release(tensor);
};

/** Hidden states before each block and after the last, one window at a time. */
async function runForward(run: Run, windows: readonly Int32Array[]): Promise<readonly States[]> {
  const { model } = run;
  const { config } = model;
  const batches = windows.map((window) => [window]);
  const hidden: States[] = [await embedWindows({ ...run, config }, batches)];
  for (let layer = 0; layer < config.shape.layers; layer++)
    hidden.push(await runBlock(run, model, layer, hidden[layer]!));
  return hidden;
}

async function runBackward(run: Run, hidden: readonly States[], last: States): Promise<void> {
  let upstream = last;
  for (let layer = run.model.config.shape.layers - 1; layer >= 0; layer--) {
    const found = await runLayer(run, layer, hidden[layer]!, upstream);
    await run.onLayer(layer, found.gradients);
    release(run, upstream);
    upstream = found.below;
  }
}

async function runLayer(run: Run, layer: number, hidden: States, upstream: States) {
  const { model, values, place } = run;
  const { graph, names } = gradientGraph(
    await windowOf(model, model, layer, hidden[0]!, place),
    run,
    layer > 0,
  );
  const wanted = Object.fromEntries(values.map((value) => [GRADIENT + names[value], undefined]));
  const make = async () => graph;
  const results = await overBatches(run, `gradients ${layer}`, hidden, make, (session, batch, index) => {
    const feeds = { [HIDDEN_IN]: batch, [GRADIENT + HIDDEN_OUT]: upstream[index]! };
    const below = layer > 0 ? { [GRADIENT + HIDDEN_IN]: batch.dims } : {};
    return place.run(session, feeds, { ...wanted, ...below });
  });
  const gradients = results.map((result) => {
    const found = values.map((value) => [value, floatsOf(result, GRADIENT + names[value])] as const);
    return Object.fromEntries(found) as LayerGradients;
  });
  return { gradients, below: layer > 0 ? results.map((result) => result[GRADIENT + HIDDEN_IN]!) : [] };
}

/** `hidden_in` and `grad.hidden_out` to `grad.<name>` of the values asked for, and of `hidden_in` where it is to go on. */
function gradientGraph(window: BlockWindow, { values }: Run, goesOn: boolean): NamedGraph {
  const { graph, names } = namedForwardGraph(window);
  const inputs = new Set([...(goesOn ? [HIDDEN_IN] : []), ...values.map((value) => names[value])]);
  return { graph: backwardGraph(graph, [...inputs]), names };
}
