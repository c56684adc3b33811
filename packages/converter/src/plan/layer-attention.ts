import { type AttentionKind, attentionKind } from "@kvfold/decoder/graph";
import type { Method } from "../methods/method.js";
import { cacheShapes } from "./cache-size.js";
import type { LayerPlan } from "./fold-plan.js";
import type { LayerShape } from "./layer-shape.js";

/** The attention that can compute a layer when it is folded by this plan. */
export const layerAttention = (layer: LayerShape, method: Method, plan: LayerPlan): AttentionKind =>
  method.joint !== undefined || (method.keysBeforeRope && layer.rope !== undefined)
    ? "plain"
    : attentionKind({ ...cacheShapes(plan), expanded: undefined }, layer);
