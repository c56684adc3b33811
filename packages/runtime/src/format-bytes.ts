const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/**
 * A size as people read it, in powers of 1024: `12288` is `12.0 KiB`.
 *
 * @example
 * ```ts
 * import { formatBytes } from "@kvfold/runtime";
 *
 * formatBytes(12288) // => "12.0 KiB"
 * ```
 */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let power = 0;
  // 1023.95 KiB would read 1024.0 KiB.
  for (; value >= (power === 0 ? 1024 : 1023.95) && power < UNITS.length - 1; power++) value /= 1024;
  return `${value.toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}
