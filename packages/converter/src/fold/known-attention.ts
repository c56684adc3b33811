import type { StageMoments } from "@kvfold/calibration";
import type { ModelShape } from "@kvfold/decoder";
import type { Moments } from "@kvfold/linalg";
import { isAttentionTap, type Tap } from "../graph/taps.js";

/** Taps whose moments take little memory: the gram of `queriesAtKeys` is zero but for a block of each head. */
const KEPT_TAPS: readonly Tap[] = ["queriesAtKeys", "attentionWeights"];

/** Moments of attention that a budget measured, for the fold of the same text, which would measure the same again. */
export interface KnownAttention {
  /** Takes the moments of a layer; of taps that take much memory nothing is kept. */
  readonly keep: (layer: number, moments: StageMoments) => void;
  /** By layer, made whole again each time one is read; nothing unless there are moments of every layer. */
  readonly layers: () => readonly StageMoments[] | undefined;
}

/** For a plan with `taps`: nothing is kept where attention would have to be measured for some of them all the same. */
export function createKnownAttention(
  taps: readonly Tap[],
  { layers, headDim }: Pick<ModelShape, "layers" | "headDim">,
): KnownAttention {
  const isKept = taps.filter(isAttentionTap).every((tap) => KEPT_TAPS.includes(tap));
  const packed: Readonly<Record<string, PackedMoments>>[] = [];
  return {
    keep(layer, moments) {
      if (!isKept) return;
      const sizeOf = (tap: string, { width }: Moments) => (tap === "queriesAtKeys" ? headDim : width);
      packed[layer] = mapValues(moments, (moment, tap) => packDiagonal(moment, sizeOf(tap, moment)));
    },
    layers() {
      if (Object.keys(packed).length < layers) return undefined;
      return packed.map((stage) => lazily(stage));
    },
  };
}

/** Moments whose gram is zero but for square blocks on its diagonal, `blocks [width / size, size, size]`. */
interface PackedMoments extends Omit<Moments, "gram"> {
  readonly size: number;
  readonly blocks: Float64Array;
}

function packDiagonal({ gram, ...moments }: Moments, size: number): PackedMoments {
  const blocks = new Float64Array(moments.width * size);
  for (const { row, start } of rowsOf(moments.width, size))
    blocks.set(gram.subarray(start, start + size), row * size);
  return { ...moments, size, blocks };
}

function unpackDiagonal({ size, blocks, ...moments }: PackedMoments): Moments {
  const gram = new Float64Array(moments.width ** 2);
  for (const { row, start } of rowsOf(moments.width, size))
    gram.set(blocks.subarray(row * size, (row + 1) * size), start);
  return { ...moments, gram };
}

/** Where the part of each row that lies in a block begins in the gram. */
const rowsOf = (width: number, size: number) =>
  Array.from({ length: width }, (_, row) => ({ row, start: row * width + Math.floor(row / size) * size }));

/** The whole grams of all layers at once may be larger than the model. */
const lazily = (stage: Readonly<Record<string, PackedMoments>>): StageMoments =>
  Object.defineProperties(
    {},
    mapValues(stage, (moments) => ({ enumerable: true, get: () => unpackDiagonal(moments) })),
  ) as StageMoments;

const mapValues = <A, B>(
  record: Readonly<Record<string, A>>,
  of: (value: A, name: string) => B,
): Readonly<Record<string, B>> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, of(value, name)]));
