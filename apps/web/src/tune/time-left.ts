/** Tells how long the rest of some steps takes, in seconds: not after the first, which also loads what all of them use. */
export function timeLeft(now: () => number): (step: number, steps: number) => number | undefined {
  let first: { readonly step: number; readonly at: number } | undefined;
  return (step, steps) => {
    if (first === undefined) {
      first = { step, at: now() };
      return undefined;
    }
    const each = (now() - first.at) / 1000 / (step - first.step);
    return each * (steps - step);
  };
}
