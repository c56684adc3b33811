import { covariance, createMatrix, type Matrix } from "@kvfold/linalg";
import { type ComplexMixing, expandMixing } from "@kvfold/rope/mixing";
import { type ComplexCode, frequencyCodes } from "./frequency-codes.js";
import { latentValues } from "./latent.js";
import type { Basis, Group, Method } from "./method.js";
import { frequencyWeights } from "./metrics.js";
import { groupSpans } from "./spans.js";

/**
 * Keys folded by complex mixing of heads within each frequency, which commutes with RoPE (docs/method.md, commuting): the
 * fold goes into the weights, the model keeps its own rotation, and the result is a plain GQA checkpoint.
 */
export const commuting: Method = {
  name: "commuting",
  summary: "RoPE-commuting keys, one complex number per frequency: a standard GQA checkpoint",
  reference: "docs/method.md, commuting, uniform",
  taps: ["queries", "keys", "values", "sensitiveQueries", "attentionWeights"],
  lossTaps: ["keys", "values", "gradients"],
  heal: "both",
  wholeRotation: true,
  standardShape: true,
  spans: groupSpans,
  allowsRank: ({ rank }, headDim) => rank % headDim === 0,
  basis: async (group, products) =>
    group.side === "keys" ? keyBases([group], uniformSlots)[0]! : latentValues(group, products),
};

/** The same with the layer's slots given to the frequencies that need them most; takes rotation tables of its own. */
export const commutingReallocated: Method = {
  ...commuting,
  name: "commuting-reallocated",
  summary: "RoPE-commuting keys that give each layer's cache to the frequencies that need it (ONNX only)",
  reference: "docs/method.md, commuting, reallocated",
  standardShape: false,
  // A code is a complex number.
  allowsRank: ({ rank }) => rank % 2 === 0,
  bases: async (groups, products) =>
    groups[0]?.side === "keys"
      ? keyBases(groups, bestSlots)
      : Promise.all(groups.map((group) => latentValues(group, products))),
};

/** A place in the cache: the `order`-th strongest code of a frequency. */
interface Slot {
  readonly frequency: number;
  readonly order: number;
}

/** Chooses `count` slots for a layer, given each group's codes by frequency. */
type ChooseSlots = (
  groups: readonly (readonly (readonly ComplexCode[])[])[],
  count: number,
) => readonly Slot[];

/** Bases of a layer's groups; all share the slots, since one rotation table serves a layer. */
function keyBases(groups: readonly Group[], chooseSlots: ChooseSlots): readonly Basis[] {
  const codes = groups.map((group) =>
    frequencyCodes(covariance(group.moments()), frequencyWeights(group), group.headDim),
  );
  const slots = chooseSlots(codes, groups[0]!.rank / 2);
  return groups.map((group, index) =>
    toBasis(
      group,
      slots,
      slots.map((slot) => codes[index]![slot.frequency]![slot.order]!),
    ),
  );
}

/** Every frequency gets the same number of slots, in the order of the model's own rotation. */
const uniformSlots: ChooseSlots = (groups, count) => {
  const frequencies = groups[0]!.length;
  return Array.from({ length: count }, (_, index) => ({
    frequency: index % frequencies,
    order: Math.floor(index / frequencies),
  }));
};

/** The slots that carry the most energy over all groups, in frequency order. */
const bestSlots: ChooseSlots = (groups, count) => {
  const energy = ({ frequency, order }: Slot) =>
    groups.reduce((total, codes) => total + codes[frequency]![order]!.energy, 0);
  const all = groups[0]!.flatMap((codes, frequency) => codes.map((_, order) => ({ frequency, order })));
  return all
    .sort((a, b) => energy(b) - energy(a))
    .slice(0, count)
    .sort((a, b) => a.frequency - b.frequency || a.order - b.order);
};

/**
 * The real form of the codes. What a code makes of the pairs `(j, j + d/2)` of half-split heads goes to slot `p` of a
 * half-split head of `r` numbers, the pair `(p, p + r/2)`.
 */
function toBasis(group: Group, slots: readonly Slot[], codes: readonly ComplexCode[]): Basis {
  const { span, headDim, rank } = group;
  const width = span * headDim;
  const encode = createMatrix(width, rank);
  const decode = createMatrix(rank, width);
  for (const [slot, { frequency }] of slots.entries()) {
    const code = codes[slot]!;
    const heads = Array.from({ length: span }, (_, head) =>
      pairOf(head * headDim + frequency, headDim),
    ).flat();
    const folded = pairOf(slot, rank);
    place(encode, heads, folded, expandMixing(mixing(span, 1, code.encodeReal, code.encodeImaginary)));
    place(decode, folded, heads, expandMixing(mixing(1, span, code.decodeReal, code.decodeImaginary)));
  }
  const kept = codes.reduce((total, { energy }) => total + energy, 0);
  const total = codes[0]!.totalEnergy;
  return {
    encode,
    decode,
    slots: slots.map(({ frequency }) => frequency),
    retained: total > 0 ? kept / total : 1,
  };
}

/** Where the two parts of a complex number stand in half-split heads of `size` numbers. */
const pairOf = (index: number, size: number): readonly number[] => [index, index + size / 2];

/** A mixing of heads within one frequency. */
const mixing = (
  headsIn: number,
  headsOut: number,
  real: Float64Array,
  imaginary: Float64Array,
): ComplexMixing => ({
  frequencies: 1,
  headsIn,
  headsOut,
  real,
  imaginary,
});

/** Writes `values [rows, cols]` to these rows and columns. */
function place(target: Matrix, rows: readonly number[], cols: readonly number[], values: Float64Array): void {
  for (const [i, row] of rows.entries())
    for (const [j, col] of cols.entries())
      target.data[row * target.cols + col] = values[i * cols.length + j]!;
}
