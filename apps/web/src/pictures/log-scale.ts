/** Maps numbers above 0 to positions, equal ratios to equal distances. */
export const logScale =
  (domain: readonly [least: number, most: number], range: readonly [from: number, to: number]) =>
  (value: number): number => {
    const share = Math.log(value / domain[0]) / Math.log(domain[1] / domain[0]);
    return range[0] + share * (range[1] - range[0]);
  };
