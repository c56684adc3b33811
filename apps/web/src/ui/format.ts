const UNITS = ["B", "kB", "MB", "GB"];

/** Bytes with the unit that leaves one to three digits before the point. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${value >= 100 || power === 0 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[power]}`;
}

export const formatShare = (share: number): string => `${(100 * share).toFixed(0)} %`;

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
