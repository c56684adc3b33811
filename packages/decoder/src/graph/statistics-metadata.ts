import type { AttentionWeights, LatentStatistics } from "../model/decoder-weights.js";

/** Digits that tell all float32 numbers apart. */
const DIGITS = 9;

const keyOf = (layer: number): string => `latent_statistics.${layer}`;

/** What is known of a layer's latents, as metadata of a graph; nothing where nothing is. */
export function statisticsMetadata(
  layer: number,
  { joint }: Pick<AttentionWeights, "joint">,
): Readonly<Record<string, string>> {
  if (joint?.statistics === undefined) return {};
  const { keyMeans, rest, costs } = joint.statistics;
  const numbers = (values: Float32Array) => Array.from(values, (value) => Number(value.toPrecision(DIGITS)));
  const text = { keyMeans: keyMeans && numbers(keyMeans), rest: numbers(rest), costs: numbers(costs) };
  return { [keyOf(layer)]: JSON.stringify(text) };
}

export declare namespace readStatistics {
  interface Sizes {
    /** `Hkv * d`. */
    readonly keys: number;
    /** `groups * r`. */
    readonly latents: number;
  }
}

/** The reverse. `undefined` where a graph has none, such as those of earlier versions, or none of these sizes. */
export function readStatistics(
  metadata: ReadonlyMap<string, string>,
  layer: number,
  { keys, latents }: readStatistics.Sizes,
): LatentStatistics | undefined {
  const found = parsed(metadata.get(keyOf(layer)));
  const rest = floats(found.rest, latents);
  const costs = floats(found.costs, latents);
  const keyMeans = floats(found.keyMeans, keys);
  if (rest === undefined || costs === undefined) return undefined;
  if (found.keyMeans !== undefined && keyMeans === undefined) return undefined;
  return { keyMeans, rest, costs };
}

function parsed(text = "{}"): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function floats(value: unknown, count: number): Float32Array | undefined {
  const isList = Array.isArray(value) && value.length === count && value.every(Number.isFinite);
  return isList ? Float32Array.from(value as readonly number[]) : undefined;
}
