import { type HiddenStates, memoryHiddenStates, type StageMoments } from "@kvfold/calibration";
import type { BlockWeights } from "@kvfold/decoder";
import { loadBlock, loadEmbedding } from "@kvfold/decoder";
import { plainProducts } from "@kvfold/linalg";
import { inBackground } from "../fold/background.js";
import { type Calibrator, startCalibration } from "../fold/calibrator.js";
import { chooseBases, chooseSide, type LayerBases } from "../fold/choose-bases.js";
import { copyStates } from "../fold/copy-states.js";
import { foldAttention } from "../fold/fold-attention.js";
import { type LayerContext, layerContext } from "../fold/group.js";
import { isAttentionTap, isGradientTap, type Tap } from "../graph/taps.js";
import type { Basis, Method, Side } from "../methods/method.js";
import type { LayerPlan, SidePlan } from "../plan/fold-plan.js";
import type { TextBudgetContext } from "./budget.js";

/** Windows that errors and losses are measured on; moments are measured on all there are. */
const MEASURED_WINDOWS = 4;

/** One layer of the original model, as a budget sees it; moments are those of the method's taps and of others asked for. */
export interface OriginalLayer extends LayerContext {
  readonly block: BlockWeights;
  /** The first few windows. */
  readonly windows: readonly Int32Array[];
  /** The original stream before the block, over `windows`. */
  readonly input: HiddenStates;
  /** The same between the block's halves, until the next layer is asked for; `undefined` for the last layer. */
  readonly between: HiddenStates | undefined;
  /** The block folded by the plan's method alone, with ranks of its own. */
  readonly fold: (plan: LayerPlan) => Promise<BlockWeights>;
}

/**
 * The layers of the original model in order, each with what folding it alone needs. In memory: two blocks, the stream of
 * all windows, and the layer's input on the first few.
 */
export async function* originalLayers(
  context: TextBudgetContext,
  taps: readonly Tap[] = [],
): AsyncGenerator<OriginalLayer> {
  const { checkpoint, plan, moments, onAttention, onLayer } = context;
  const windows = context.windows.slice(0, MEASURED_WINDOWS);
  const wanted = [...new Set([...plan.taps, ...taps])];
  const calibrator = await calibrate(
    context,
    wanted.filter((tap) => !isGradientTap(tap) && moments?.[0]?.[tap] === undefined),
  );
  try {
    let loading = loadBlock(checkpoint, 0);
    for (let layer = 0; layer < plan.layers.length; layer++) {
      const block = await loading;
      // The next block is read while the device runs this one.
      if (layer + 1 < plan.layers.length) loading = inBackground(loadBlock(checkpoint, layer + 1));
      const input = await memoryHiddenStates(windows.length, 0);
      await copyStates(calibrator.hidden, input);
      const live = await calibrator.measure(block);
      onAttention?.(layer, attentionOf(live, plan.taps));
      const measured = { ...live, ...moments?.[layer] };
      const known = layerContext(plan, { layer, attention: block.attention, moments: measured });
      const between = layer + 1 < plan.layers.length ? calibrator.between : undefined;
      yield { ...known, block, windows, input, between, fold: foldAs(context.method, known, block) };
      await calibrator.advance(block);
      onLayer(layer);
    }
  } finally {
    await calibrator.dispose();
  }
}

/** What was measured of the attention matrix, of the taps of a plan. */
const attentionOf = (moments: StageMoments, taps: readonly Tap[]): StageMoments =>
  Object.fromEntries(
    taps.filter((tap) => isAttentionTap(tap) && tap in moments).map((tap) => [tap, moments[tap]!]),
  );

/** Folds a block in many ways: a side that is kept whole has the same bases in all of them. */
function foldAs(method: Method, known: LayerContext, block: BlockWeights): OriginalLayer["fold"] {
  const foldWith = (bases: LayerBases) => ({ ...block, attention: foldAttention(known.attention, bases) });
  if (method.joint !== undefined)
    return async (plan) => foldWith(await chooseBases(method, plan, known, plainProducts));
  const whole = new Map<Side, Promise<readonly Basis[]>>();
  const basesOf = (side: Side, plan: SidePlan) => {
    const choose = () => chooseSide(method, side, plan, known, plainProducts);
    if (plan.rank < plan.span * known.attention.headDim) return choose();
    const bases = whole.get(side) ?? choose();
    whole.set(side, bases);
    return bases;
  };
  return async ({ keys, values }) => {
    const bases = { keys: await basesOf("keys", keys), values: await basesOf("values", values) };
    return foldWith(bases);
  };
}

/** The original model at its embedding; without taps it runs on the few windows alone. */
async function calibrate(
  { checkpoint, windows, provider, hiddenStates, signal }: TextBudgetContext,
  taps: readonly Tap[],
): Promise<Calibrator> {
  return startCalibration({
    config: checkpoint.config,
    embedding: await loadEmbedding(checkpoint),
    windows: taps.length > 0 ? windows : windows.slice(0, MEASURED_WINDOWS),
    taps,
    provider,
    hiddenStates,
    signal,
  });
}
