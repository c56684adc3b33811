import type { AttentionKind } from "@kvfold/decoder/graph";
import type { Method, Spans } from "../methods/method.js";
import type { LayerPlan, SidePlan } from "./fold-plan.js";
import { greatestDivisor } from "./greatest-divisor.js";
import { isWhole, type Keep } from "./keep.js";
import { layerAttention } from "./layer-attention.js";
import type { LayerShape } from "./layer-shape.js";

/** What is asked of a layer whose keys and values keep the same share. */
export interface EvenRequest {
  readonly layer: LayerShape;
  readonly spans: Spans;
  readonly keep: Keep;
  readonly method: Method;
}

/** How far a share may be from what was asked for the sake of a coarser grid of ranks, relative to it. */
const TOLERANCE = 0.1;
/** GroupQueryAttention wants heads of a multiple of eight numbers; see `attentionKind` of `@kvfold/decoder`. */
const FUSED_MULTIPLE = 8;
/** Half of a joint latent of a multiple of eight numbers. */
const JOINT_MULTIPLE = 4;
/** Even ranks suit vectorised products, and leave budgets half as many ranks to try. */
const PLAIN_MULTIPLE = 2;

/**
 * The layer that GroupQueryAttention can compute and that comes nearest to the share asked for; `undefined` when there
 * is none within a tenth of it.
 */
export function fusedLayer(request: EvenRequest): LayerPlan | undefined {
  const found = nearest(request, FUSED_MULTIPLE, toleranceOf(request));
  return found !== undefined && kindOf(request, found) === "group-query" ? found : undefined;
}

/**
 * The layer that comes nearest to the share asked for, whatever attention it takes: exactly where its ranks are whole
 * numbers, else with even ranks if these are within a tenth of the share. Joint latents are of a multiple of eight numbers
 * where that is within a tenth. `undefined` when the method cannot make any such ranks.
 */
export function plainLayer(request: EvenRequest): LayerPlan | undefined {
  const tolerance = toleranceOf(request);
  const joint = request.method.joint && nearest(request, JOINT_MULTIPLE, tolerance);
  return (
    joint ??
    nearest(request, 1, 0) ??
    nearest(request, PLAIN_MULTIPLE, tolerance) ??
    (tolerance > 0 ? nearest(request, 1, Number.POSITIVE_INFINITY) : undefined)
  );
}

/** Methods that keep whole heads, and layers that are kept whole, are never rounded. */
const toleranceOf = ({ keep, method }: EvenRequest): number =>
  method.standardShape || isWhole(keep) ? 0 : TOLERANCE;

const kindOf = ({ layer, method }: EvenRequest, plan: LayerPlan): AttentionKind =>
  layerAttention(layer, method, plan);

/**
 * With spans `s_K` and `s_V` and `g` their greatest common divisor, ranks `s_K / g * n` and `s_V / g * n` keep the same
 * share of keys and values, and a wide latent can be stored as several narrow heads. Of the multiples `n` of `multiple`
 * up to `g * d`, finds the one nearest to the share, if it is within `tolerance`.
 */
function nearest(request: EvenRequest, multiple: number, tolerance: number): LayerPlan | undefined {
  const { layer, spans, keep } = request;
  const full = greatestDivisor(spans.keys, spans.values) * layer.headDim;
  const wanted = (full * keep.numerator) / keep.denominator;
  const least = Math.max(multiple, multiple * Math.ceil((wanted * (1 - tolerance)) / multiple));
  const most = Math.min(full, wanted * (1 + tolerance));
  let best: { readonly distance: number; readonly plan: LayerPlan } | undefined;
  for (let units = least; units <= most; units += multiple) {
    const distance = Math.abs(units - wanted);
    // Of two that are as near, the one that keeps more.
    if (best !== undefined && distance > best.distance) continue;
    const plan = layerOf(layer, spans, units);
    if (isAllowed(request, plan)) best = { distance, plan };
  }
  return best?.plan;
}

function layerOf({ kvHeads }: LayerShape, spans: Spans, units: number): LayerPlan {
  const shared = greatestDivisor(spans.keys, spans.values);
  const side = (span: number): SidePlan => ({ span, heads: kvHeads / span, rank: (span / shared) * units });
  return { keys: side(spans.keys), values: side(spans.values) };
}

const isAllowed = ({ layer: { headDim }, method: { allowsRank } }: EvenRequest, plan: LayerPlan): boolean =>
  allowsRank === undefined || (allowsRank(plan.keys, headDim) && allowsRank(plan.values, headDim));
