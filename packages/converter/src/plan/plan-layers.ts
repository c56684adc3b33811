import type { ModelConfig } from "@kvfold/decoder";
import type { Method } from "../methods/method.js";
import { type EvenRequest, fusedLayer, plainLayer } from "./even-layers.js";
import type { LayerPlan } from "./fold-plan.js";
import type { Keep } from "./keep.js";
import { layerShape } from "./layer-shape.js";
import { type GivenSpans, layerSpans } from "./layer-spans.js";
import { shareOut } from "./share-out.js";

/** What is asked of all layers alike. */
export interface LayersRequest {
  readonly keep: Keep;
  readonly method: Method;
  /** Its name. */
  readonly budget: string;
  /** Share of a layer's cache that its keys take; a half where absent. */
  readonly keyShare: number | undefined;
  readonly spans: GivenSpans;
}

interface LayerRequest extends EvenRequest {
  readonly keyShare: number | undefined;
}

/**
 * How every layer is folded; budgets change it later. One kind of attention serves a whole graph, so ranks suit
 * GroupQueryAttention only where all layers can have it. `undefined` when the method cannot make what is asked.
 *
 * @throws {ConverterError} `invalid-option` when a span does not divide the KV heads.
 */
export function planLayers(config: ModelConfig, request: LayersRequest): readonly LayerPlan[] | undefined {
  const layers = Array.from({ length: config.shape.layers }, (_, layer) =>
    layerRequest(config, layer, request),
  );
  return allOf(layers, fused) ?? allOf(layers, plain);
}

function layerRequest(
  config: ModelConfig,
  index: number,
  { keep, method, keyShare, spans }: LayersRequest,
): LayerRequest {
  const layer = layerShape(config, index);
  return { layer, keep, method, spans: layerSpans(layer, keep, method, spans), keyShare };
}

/** The fused operator wants keys and values of one size. */
const fused = (request: LayerRequest): LayerPlan | undefined =>
  request.keyShare === undefined ? fusedLayer(request) : undefined;

function plain(request: LayerRequest): LayerPlan | undefined {
  const even = plainLayer(request);
  const { keyShare, layer } = request;
  return even === undefined || keyShare === undefined ? even : shareOut(even, keyShare, layer.headDim);
}

/** What `plan` makes of every request, or `undefined` where it fails for one. */
function allOf(
  requests: readonly LayerRequest[],
  plan: (request: LayerRequest) => LayerPlan | undefined,
): readonly LayerPlan[] | undefined {
  const plans: LayerPlan[] = [];
  for (const request of requests) {
    const found = plan(request);
    if (found === undefined) return undefined;
    plans.push(found);
  }
  return plans;
}
