import type { DecoderParts } from "@kvfold/decoder";
import { type BlockWindow, HIDDEN_IN, HIDDEN_OUT } from "@kvfold/decoder/graph";
import { type AbortSignalLike, type Feeds, type Session, throwIfAborted } from "@kvfold/runtime";
import { forwardGraph } from "./block-graphs.js";
import type { SessionStore } from "./session-store.js";
import { floatsOf, rowsTensor } from "./tensors.js";

/** The hidden states of each window, `[S * D]`. */
export type States = readonly Float32Array[];

/** What runs blocks over windows. */
export interface BlockRun {
  readonly sessions: SessionStore;
  readonly signal?: AbortSignalLike | undefined;
}

/** A window that a block of the model is run over. */
export async function windowOf(
  { config }: Pick<DecoderParts, "config">,
  parts: Pick<DecoderParts, "block">,
  layer: number,
  hidden: States,
): Promise<BlockWindow> {
  return { config, weights: await parts.block(layer), length: hidden[0]!.length / config.shape.hiddenSize };
}

/** Takes the hidden states of all windows through one block as it is. */
export const runBlock = (
  { sessions, signal }: BlockRun,
  model: DecoderParts,
  layer: number,
  hidden: States,
): Promise<States> =>
  sessions.use(
    `original ${layer}`,
    async () => forwardGraph(await windowOf(model, model, layer, hidden)),
    (session) => runWindows(session, hidden, { width: model.config.shape.hiddenSize, feeds: {}, signal }),
  );

/** Takes the hidden states of all windows through a graph. */
export async function runWindows(
  session: Session,
  hidden: States,
  { width, feeds, signal }: runWindows.Options,
): Promise<States> {
  const outputs: Float32Array[] = [];
  for (const states of hidden) {
    throwIfAborted(signal);
    const input = rowsTensor(states, width);
    outputs.push(floatsOf(await session.run({ ...feeds, [HIDDEN_IN]: input }), HIDDEN_OUT));
  }
  return outputs;
}

export declare namespace runWindows {
  interface Options {
    /** `D`. */
    readonly width: number;
    /** Further inputs of the graph. */
    readonly feeds: Feeds;
    readonly signal: AbortSignalLike | undefined;
  }
}
