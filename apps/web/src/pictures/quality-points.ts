import { signal } from "@preact/signals";

/** Perplexity of a folded model, relative to the original, at its cache size. */
export interface QualityPoint {
  readonly keep: string;
  /** Cache bytes per token. */
  readonly bytes: number;
  readonly ratio: number;
}

/** What a method makes of a model at several cache sizes, smallest first (docs/results.md). */
export interface PublishedCurve {
  readonly method: string;
  readonly points: readonly QualityPoint[];
}

/** A point that was measured in this tab. */
export interface OwnPoint extends QualityPoint {
  /** What the page calls the model. */
  readonly label: string;
}

export const qualityPoints = signal<readonly OwnPoint[]>([]);

/** Points of one model say nothing of another. */
export function clearQualityPoints(): void {
  qualityPoints.value = [];
}

/** Adds a point in place of an earlier one of that model. */
export function addQualityPoint(point: OwnPoint): void {
  qualityPoints.value = [...qualityPoints.value.filter(({ label }) => label !== point.label), point].sort(
    (a, b) => a.bytes - b.bytes,
  );
}
