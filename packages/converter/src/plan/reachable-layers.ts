import type { ModelConfig } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import type { Method } from "../methods/method.js";
import type { Format, LayerPlan } from "./fold-plan.js";
import { formatKeep, type Keep } from "./keep.js";
import { layerShape } from "./layer-shape.js";
import { nearestShares } from "./nearest-shares.js";
import { type LayersRequest, planLayers } from "./plan-layers.js";
import { isPlainFormat, isPlainGqa, nameFormat, type PlainFormat } from "./requirements.js";

/**
 * The layers that are asked for.
 *
 * @throws {ConverterError} `invalid-option` when the method or a format cannot have that share; it names the nearest
 * that they can.
 */
export function reachableLayers(
  config: ModelConfig,
  request: LayersRequest,
  formats: readonly Format[],
): readonly LayerPlan[] {
  const standard = formats.find(isPlainFormat);
  const reach = (keep: Keep) => {
    const layers = planLayers(config, { ...request, keep });
    return layers !== undefined && standard !== undefined && !isPlainGqa(config, layers) ? undefined : layers;
  };
  const layers = reach(request.keep);
  if (layers !== undefined) return layers;
  const shares = nearestShares(config, request.keep, (keep) => reach(keep) !== undefined);
  throw unreachable(config, request, { standard, shares });
}

function unreachable(
  config: ModelConfig,
  { keep, method, spans }: LayersRequest,
  { standard, shares }: { readonly standard: PlainFormat | undefined; readonly shares: string },
): ConverterError {
  const { kvHeads } = layerShape(config, 0);
  const heads = `${kvHeads} KV ${kvHeads === 1 ? "head" : "heads"}`;
  const keeper =
    standard === undefined
      ? describeRestriction(method)
      : `${nameFormat(standard)} has heads of the size they had`;
  const own = spans.keySpan === undefined && spans.valueSpan === undefined;
  const [given, way] = own ? ["", ""] : [" in these spans", ", or leave keySpan and valueSpan out"];
  return new ConverterError(
    "invalid-option",
    `keep ${formatKeep(keep)}: ${keeper} and cannot keep this share of ${heads}${given}; the nearest it can: ${shares}${way}`,
    { option: "keep" },
  );
}

const describeRestriction = ({ name, standardShape }: Method): string =>
  standardShape ? `method ${name} keeps whole heads` : `method ${name} allows none of the ranks (allowsRank)`;
