import type { DecoderParts } from "@kvfold/decoder";
import { type BlockWindow, HIDDEN_IN, HIDDEN_OUT, type MemoryModel } from "@kvfold/decoder/graph";
import { type AbortSignalLike, type Feeds, type Session, type Tensor, throwIfAborted } from "@kvfold/runtime";
import { forwardGraph } from "./block-graphs.js";
import type { SessionStore } from "./session-store.js";
import type { StreamPlace } from "./stream-place.js";
import { DEVICE_QUERIES } from "./window-batches.js";

/** The hidden states of each batch of windows, `[B, S, D]`. */
export type States = readonly Tensor[];

/** What runs blocks over windows. */
export interface BlockRun {
  readonly sessions: SessionStore;
  readonly place: StreamPlace;
  readonly signal?: AbortSignalLike | undefined;
}

/** Batches of windows that a block of the model is run over. */
export async function windowOf(
  { config }: Pick<DecoderParts, "config">,
  parts: Pick<DecoderParts, "block">,
  layer: number,
  { dims }: Tensor,
  { isDevice }: Pick<StreamPlace, "isDevice">,
): Promise<BlockWindow> {
  const window = { config, weights: await parts.block(layer), length: dims[1]!, batch: dims[0]! };
  return isDevice ? { ...window, queries: DEVICE_QUERIES } : window;
}

/**
 * Does work on each batch with a session for its size. Batches of one size follow each other, so that a session that does not
 * stay open is opened once.
 */
export async function overBatches<Result>(
  { sessions, signal }: Pick<BlockRun, "sessions" | "signal">,
  name: string,
  states: States,
  make: (like: Tensor) => Promise<MemoryModel>,
  work: (session: Session, batch: Tensor, index: number) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const size of new Set(states.map(({ dims }) => dims[0]!))) {
    const like = states.find(({ dims }) => dims[0] === size)!;
    await sessions.use(
      `${name}, ${size} at once`,
      () => make(like),
      async (session) => {
        for (const [index, batch] of states.entries()) {
          if (batch.dims[0] !== size) continue;
          throwIfAborted(signal);
          results[index] = await work(session, batch, index);
        }
      },
    );
  }
  return results;
}

/** Takes the hidden states of all batches through one block as it is. */
export const runBlock = (
  run: BlockRun,
  model: DecoderParts,
  layer: number,
  hidden: States,
): Promise<States> => {
  const make = async (like: Tensor) => forwardGraph(await windowOf(model, model, layer, like, run.place));
  return overBatches(run, `original ${layer}`, hidden, make, (session, batch) =>
    runForward(run.place, session, batch),
  );
};

/** Takes a batch through the graph of a block. */
export async function runForward(
  place: StreamPlace,
  session: Session,
  batch: Tensor,
  feeds: Feeds = {},
): Promise<Tensor> {
  const results = await place.run(session, { ...feeds, [HIDDEN_IN]: batch }, { [HIDDEN_OUT]: batch.dims });
  return results[HIDDEN_OUT]!;
}
