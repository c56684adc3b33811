import { runStage, type ShardExchange, type StageMoments, sumOverShards } from "@kvfold/calibration";
import { type Checkpoint, checkpointParts } from "@kvfold/decoder";
import { windowGraph } from "@kvfold/decoder/graph";
import { type Moments, mergeMoments } from "@kvfold/linalg";
import { type AbortSignalLike, type SessionProvider, Tensor } from "@kvfold/runtime";
import { type CacheValue, cacheGradients, type LayerGradients } from "@kvfold/tuning";
import { emitMoments, emitTurnedRows } from "../graph/emit-moments.js";
import { type GradientTap, isGradientTap, tapWidth } from "../graph/taps.js";
import { emptyMoments } from "./empty-moments.js";
import type { FoldOptions } from "./fold-options.js";
import { textShare } from "./text-share.js";

/** Windows that gradients are measured on: each token gives one gradient by every number of its cache. */
const GRADIENT_WINDOWS = 32;

export declare namespace lossMoments {
  interface Options {
    readonly checkpoint: Checkpoint;
    readonly tap: GradientTap;
    /** Calibration tokens, windows of one length; those among the first 32 of the text are used. */
    readonly windows: readonly Int32Array[];
    /** Which window of the text `windows` begin with, 0 unless given: moments of all parts of a text add up to those of the whole. */
    readonly first?: number | undefined;
    /** Of the tokens that are drawn from the model's predictions. */
    readonly seed: number;
    readonly provider: SessionProvider;
    readonly onGradients?: ((progress: GradientProgress) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/** How far a backward pass is, in windows of a layer. */
export interface GradientProgress {
  readonly done: number;
  readonly total: number;
}

/** Keys as a tap has them. */
const keysOf: Readonly<Record<GradientTap, CacheValue>> = {
  gradients: "keys",
  gradientsBeforeRope: "keysBeforeRope",
};

/**
 * Moments of the gradients of the loss by the keys and values of each layer, side by side, `[2 * Hkv * d]` wide: what metric
 * `loss` weighs errors by (docs/method.md, Metrics). One backward pass, a block at a time.
 *
 * @throws {RuntimeError} `aborted` when `signal` fires.
 */
export async function lossMoments(options: lossMoments.Options): Promise<readonly StageMoments[]> {
  const { checkpoint, tap, first = 0 } = options;
  const { shape } = checkpoint.config;
  const windows = options.windows.slice(0, Math.max(0, GRADIENT_WINDOWS - first));
  if (windows.length === 0) return Array.from({ length: shape.layers }, () => emptyMoments([tap], shape));
  const keys = keysOf[tap];
  const progress = countProgress(options, windows.length * shape.layers);
  const sum = await createMomentSum(options, keys);
  const layers: Moments[] = [];
  try {
    await cacheGradients({
      ...options,
      model: checkpointParts(checkpoint),
      windows,
      tokens: "drawn",
      values: [keys, "values"],
      onLayer: async (layer, gradients) => {
        const moments = await sum.of(gradients);
        layers[layer] = layers[layer] === undefined ? moments : mergeMoments(layers[layer], moments);
        progress(gradients.length);
      },
    });
  } finally {
    await sum.dispose();
  }
  return layers.map((moments) => ({ [tap]: moments }));
}

/** Tells how many windows of a layer are done, whenever there are more. */
function countProgress({ onGradients }: lossMoments.Options, total: number) {
  let done = 0;
  return (windows: number): void => {
    done += windows;
    onGradients?.({ done, total });
  };
}

export declare namespace planLossMoments {
  type Options = Pick<FoldOptions, "checkpoint" | "plan" | "windows" | "provider" | "exchange" | "signal"> &
    Pick<lossMoments.Options, "first" | "onGradients">;
}

/** Those that a plan needs, where it needs any and there is text to measure them on; with an exchange, of the text of all shards. */
export async function planLossMoments({
  plan: { taps, seed },
  windows = [],
  provider,
  exchange,
  ...options
}: planLossMoments.Options): Promise<readonly StageMoments[] | undefined> {
  const tap = taps.find(isGradientTap);
  if (tap === undefined || windows.length === 0 || provider === undefined) return undefined;
  const given = { ...options, tap, seed, provider };
  if (exchange === undefined) return lossMoments({ ...given, windows });
  return sumLayers(await lossMoments({ ...given, ...textShare(windows, exchange.shard) }), exchange);
}

/** One sum for all layers: a backward pass ends with the first of them. */
async function sumLayers(
  layers: readonly StageMoments[],
  exchange: ShardExchange,
): Promise<readonly StageMoments[]> {
  const nameOf = (layer: number, tap: string) => `${layer}.${tap}`;
  const own = layers.flatMap((stage, layer) =>
    Object.entries(stage).map(([tap, moments]) => [nameOf(layer, tap), moments] as const),
  );
  const part = { moments: Object.fromEntries(own), crosses: {} };
  const { moments } = await sumOverShards(exchange, { layer: 0, step: "gradients" }, part);
  return layers.map((stage, layer) =>
    Object.fromEntries(Object.keys(stage).map((tap) => [tap, moments[nameOf(layer, tap)]!])),
  );
}

/** Sums moments of rows that are in memory. */
async function createMomentSum(
  { checkpoint, tap, windows, provider, signal }: lossMoments.Options,
  keys: CacheValue,
) {
  const { config } = checkpoint;
  const length = windows[0]!.length;
  const width = tapWidth(tap, config.shape);
  const graph = windowGraph(config, length, ({ e, input }) => {
    const sides = [input(keys, width / 2), input("values", width / 2)];
    const rows = e.node("Concat", "joined/Concat", sides, { attributes: { axis: -1 } });
    emitMoments(e.at(tap), tap, emitTurnedRows(e.at(tap), tap, rows, width));
  });
  const session = await provider.createSession(graph);
  const rowsOf = (values: Float32Array) => new Tensor("float32", values, [1, length, width / 2]);
  return {
    async of(gradients: readonly LayerGradients[]): Promise<Moments> {
      const { moments } = await runStage({
        session,
        windows: gradients.length,
        length,
        feeds: async (index) => ({
          [keys]: rowsOf(gradients[index]![keys]!),
          values: rowsOf(gradients[index]!.values!),
        }),
        moments: [{ name: tap, size: width }],
        signal,
      });
      return moments[tap]!;
    },
    dispose: () => session.dispose(),
  };
}
