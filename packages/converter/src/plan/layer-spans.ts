import { ConverterError } from "../converter-error.js";
import type { Method, SpanContext, Spans } from "../methods/method.js";
import type { Keep } from "./keep.js";
import type { LayerShape } from "./layer-shape.js";

/** Spans that the caller of `planFold` names; the method's own where absent. */
export interface GivenSpans {
  readonly keySpan?: number | undefined;
  readonly valueSpan?: number | undefined;
}

/** What a method may look at to choose the spans of a layer. */
const spanContext = (layer: LayerShape, keep: Keep): SpanContext => ({
  kvHeads: layer.kvHeads,
  headDim: layer.headDim,
  rotaryDim: layer.rope?.rotaryDim ?? 0,
  shrink: shrinkOf(layer, keep),
});

/** See `SpanContext.shrink`. */
const shrinkOf = ({ kvHeads }: LayerShape, { numerator, denominator }: Keep): number =>
  denominator <= kvHeads ? denominator : Math.ceil(denominator / numerator);

/**
 * The spans of a layer: those that are given, else those of the method.
 *
 * @throws {ConverterError} `invalid-option` when one does not divide the layer's KV heads.
 */
export function layerSpans(layer: LayerShape, keep: Keep, method: Method, given: GivenSpans): Spans {
  const { keys, values } = method.spans(spanContext(layer, keep));
  for (const option of ["keySpan", "valueSpan"] as const) requireDivisor(layer, given[option], option);
  if (given.keySpan === undefined) requireOwnDivisor(layer, keys, method, "keys");
  if (given.valueSpan === undefined) requireOwnDivisor(layer, values, method, "values");
  const spans = { keys: given.keySpan ?? keys, values: given.valueSpan ?? values };
  if (method.joint !== undefined) requireSameSpan(spans, method, given);
  return spans;
}

/** Keys and values of a joint latent are of the same heads. */
function requireSameSpan({ keys, values }: Spans, { name }: Method, given: GivenSpans): void {
  if (keys === values) return;
  const option = given.keySpan === undefined ? "valueSpan" : "keySpan";
  throw new ConverterError(
    "invalid-option",
    `${option} ${given[option]}: method ${name} keeps keys and values of the same heads in one latent, but their spans are ${keys} and ${values}; give keySpan and valueSpan the same number`,
    { option },
  );
}

function requireDivisor({ kvHeads }: LayerShape, span: number | undefined, option: string): void {
  if (span === undefined || divides(span, kvHeads)) return;
  throw new ConverterError(
    "invalid-option",
    `${option} ${span}: must be a whole number that divides the model's ${kvHeads} KV heads; choose one of ${divisors(kvHeads).join(", ")}`,
    { option },
  );
}

/** A method that comes with this package always divides; one from elsewhere may not. */
function requireOwnDivisor({ kvHeads }: LayerShape, span: number, { name }: Method, side: string): void {
  if (divides(span, kvHeads)) return;
  throw new ConverterError(
    "invalid-option",
    `method ${name}: its span of ${span} for ${side} does not divide the model's ${kvHeads} KV heads; see spanFor`,
    { option: "method" },
  );
}

const divides = (span: number, kvHeads: number): boolean =>
  Number.isInteger(span) && span >= 1 && kvHeads % span === 0;

/** The whole numbers that divide `value`, ascending. */
const divisors = (value: number): readonly number[] =>
  Array.from({ length: value }, (_, index) => index + 1).filter((candidate) => value % candidate === 0);
