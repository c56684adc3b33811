/** A share of the cache and the energy of keys and values that latents of that size lose, 0 to 1. */
export interface CurvePoint {
  readonly share: number;
  readonly energy: number;
}

/** A share that was tried, and by how much perplexity rose. */
export interface LossAt {
  readonly share: number;
  readonly loss: number;
}

/** The logarithm of the perplexity ratio is about `scale * energy ^ power`. */
export interface LossLaw {
  readonly scale: number;
  readonly power: number;
}

/**
 * Fitted to prose-6m (docs/results.md, and its energies in docs/cli.md): the powers hold from 1/2 to 1/8 to a few percent, the
 * scales are those of that model. They give the first guess; what is measured then replaces the scale.
 */
export const JOINT_LAW: LossLaw = { scale: 2.3, power: 1.35 };
export const APART_LAW: LossLaw = { scale: 5, power: 1.6 };

/** By how much perplexity rises where latents lose so much energy, as a share. */
export const expectedLoss = (energy: number, { scale, power }: LossLaw): number =>
  Math.expm1(scale * energy ** power);

/** A fold that meets the goal is made again smaller only if that would take no more than this share of its cache. */
const WORTHWHILE = 0.75;

/**
 * The share to fold to next, so that perplexity rises by no more than `maxLoss` and the cache is as small as it can be;
 * `undefined` when the best of those that were tried is to be taken, or when nothing is left to try.
 *
 * @param curve - In ascending shares.
 */
export function nextShare(
  curve: readonly CurvePoint[],
  {
    law,
    tried,
    maxLoss,
  }: { readonly law: LossLaw; readonly tried: readonly LossAt[]; readonly maxLoss: number },
): number | undefined {
  const above = Math.max(0, ...tried.filter(({ loss }) => loss > maxLoss).map(({ share }) => share));
  const met = Math.min(
    Number.POSITIVE_INFINITY,
    ...tried.filter(({ loss }) => loss <= maxLoss).map(({ share }) => share),
  );
  const open = curve.filter(({ share }) => share > above && share < met);
  const fitted = fitScale(curve, law, tried);
  const fits = open.find(({ energy }) => expectedLoss(energy, fitted) <= maxLoss);
  if (met < Number.POSITIVE_INFINITY) return fits && fits.share <= WORTHWHILE * met ? fits.share : undefined;
  return (fits ?? open.at(-1))?.share;
}

/** The scale with which the law goes through what was measured last; losses of nothing at all say nothing. */
function fitScale(curve: readonly CurvePoint[], law: LossLaw, tried: readonly LossAt[]): LossLaw {
  const last = tried.at(-1);
  const energy = curve.find(({ share }) => share === last?.share)?.energy ?? 0;
  if (last === undefined || energy <= 0 || last.loss <= 0) return law;
  return { ...law, scale: Math.log1p(last.loss) / energy ** law.power };
}
