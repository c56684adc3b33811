/** Ratios have four decimals: differences between methods lie in the third. */
export const formatRatio = (ratio: number): string => ratio.toFixed(4);

export const formatSpeed = (tokensPerSecond: number): string =>
  tokensPerSecond.toFixed(tokensPerSecond < 100 ? 1 : 0);

export const formatPercent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** How much perplexity rose: the losses of folds that are compared often differ in the second digit alone. */
export const formatRise = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** Of a share that was chosen, for headings. */
export const formatFraction = (fraction: number): string => `${100 * fraction}%`;

export const formatSeconds = (seconds: number): string =>
  seconds < 100 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
