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

export const qualityPoints = signal<readonly QualityPoint[]>([]);

/** Points of one model say nothing of another. */
export function clearQualityPoints(): void {
  qualityPoints.value = [];
}

/** Adds a point in place of an earlier one of that size. */
export function addQualityPoint(point: QualityPoint): void {
  qualityPoints.value = [...qualityPoints.value.filter(({ keep }) => keep !== point.keep), point].sort(
    (a, b) => a.bytes - b.bytes,
  );
}
