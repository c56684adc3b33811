const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** A size as people read it: `402.7 MB`. */
export function formatBytes(count: number): string {
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(count, 1)) / 3)));
  return power === 0 ? `${count} bytes` : `${(count / 1000 ** power).toFixed(1)} ${UNITS[power]}`;
}
