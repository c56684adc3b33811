import type { Matrix, MatrixProducts, Moments } from "@kvfold/linalg";
import type { Tap } from "../graph/taps.js";
import type { Heal } from "./heal.js";

/** The two halves of a KV cache. */
export type Side = "keys" | "values";

/** How many input KV heads share one folded head, for each side. */
export interface Spans {
  readonly keys: number;
  readonly values: number;
}

/**
 * A linear code for a group of `s` heads, row-vector convention: `y [s*d]` is kept as `y encode [r]` and stands for
 * `y encode decode`. The product `encode decode` is a projector.
 */
export interface Basis {
  /** `[s * d, r]`. */
  readonly encode: Matrix;
  /** `[r, s * d]`. */
  readonly decode: Matrix;
  /**
   * `[r / 2]`: set for key bases that commute with RoPE: the frequency that each pair `(p, p + r/2)` of the folded
   * head rotates with. Such keys fold into the weights; others are folded after the rotation.
   */
  readonly slots?: readonly number[];
  /** For key bases of methods with `keysBeforeRope`: the fold stands before the rotation, whatever it mixes. */
  readonly beforeRope?: boolean;
  /** `[s * d]`: a constant that every decoded row lacks; only values may have one, and it becomes an output bias. */
  readonly offset?: Float64Array;
  /** Share of the energy the method looks at that the basis keeps, 0 to 1; absent where that means nothing. */
  readonly retained?: number;
}

/**
 * A code for the unturned keys and the values of a group of `s` heads together. A row `x = [k, v] [2 * s * d]`, all keys of
 * the group first, is kept as `z = (x - offset) encode`, and stands for `z decode + offset`. Keys are turned by their offset
 * in their chunk before they are encoded.
 */
export interface JointBasis {
  /** `[2 * s * d, r]`. */
  readonly encode: Matrix;
  /** `[r, 2 * s * d]`. */
  readonly decode: Matrix;
  /** `[2 * s * d]`: a constant that the latent leaves out; zero where `JointGroup.mayCentre` is false. */
  readonly offset?: Float64Array;
  /** `[r]` or more: energy of each number of the latent, which has unit variance: what an error of one costs. */
  readonly energies?: Float64Array;
  /** Share of the energy the method looks at that the basis keeps, 0 to 1; absent where that means nothing. */
  readonly retained?: number;
}

/** What a method may look at of one group of KV heads. Thunks, so that only needed parts are made. */
export interface GroupContext {
  readonly layer: number;
  readonly index: number;
  /** `s`, input KV heads in the group. */
  readonly span: number;
  readonly headDim: number;
  /** `r`, numbers to keep per token. */
  readonly rank: number;
  /** Numbers of a head that turn with the position (RoPE): the first of a head, pairs `(j, j + rotaryDim / 2)`. 0 without. */
  readonly rotaryDim: number;
  /** Moments of a tap of the whole layer. */
  readonly measured: (tap: Tap) => Moments;
  /** For each KV head of the group, the query heads that read it. */
  readonly readers: readonly (readonly number[])[];
  /** `W_O,h [d, D]` of a query head. */
  readonly outputWeights: (head: number) => Matrix;
  /**
   * What an error in the group's numbers costs in the loss, `E[gᵀg]` of its gradients by them, as wide as the group's moments
   * and in their frame; absent unless the plan's metric is `loss`.
   */
  readonly lossMetric?: (() => Matrix) | undefined;
}

/** What a method may look at to choose the basis of one side of a group. */
export interface Group extends GroupContext {
  readonly side: Side;
  readonly seed: number;
  /** The group's columns of the projection, `[D, s * d]`. */
  readonly weights: () => Matrix;
  /** Moments of the group's activations (keys after the rotation), width `s * d`. */
  readonly moments: () => Moments;
  /** Whether the output may carry a bias after `W_O`. */
  readonly outputBias: boolean;
}

/** What a method may look at to choose one basis for keys and values of a group. */
export interface JointGroup extends GroupContext {
  /** Moments of `[k, v]`, width `2 * s * d`: keys before the rotation, turned by their offsets in their chunks. */
  readonly moments: () => Moments;
  /** `[2 * s * d]`: whether a number's mean can be left out, because softmax ignores it or a bias puts it back. */
  readonly mayCentre: readonly boolean[];
  /** Moments of numbers of one head as the turns of its chunks leave them, where they had not been turned. */
  readonly turned: (moments: Moments) => Moments;
  /** `[d]`: what an error in each number of an unturned key is multiplied by on its way to the scores, but for the query. */
  readonly keyGains: Float64Array;
  /** `[s * d]`: what turned keys are multiplied by in the mean, where a norm follows the rotation. */
  readonly normGains: Float64Array | undefined;
}

/** A way to choose bases: one small file in this folder, and an entry in the registry. */
export interface Method {
  readonly name: string;
  /** One sentence for help texts. */
  readonly summary: string;
  /** Where it comes from. */
  readonly reference: string;
  /** Activations whose moments it needs; none for methods that look at weights alone. */
  readonly taps: readonly Tap[];
  /** What it needs in place of `taps` where errors are weighed by the loss; a method without it takes no metric. */
  readonly lossTaps?: readonly Tap[];
  /** Whether it draws random numbers, from `Group.seed`. */
  readonly draws?: boolean;
  /** What is refitted after folding unless told otherwise; nothing without it. */
  readonly heal?: Heal;
  /** The budget that shares out its ranks unless told otherwise; the same rank in every layer without it. */
  readonly budget?: string;
  /** The spans it uses unless told otherwise; each divides the layer's KV heads (`spanFor` finds such a number). */
  readonly spans: (layer: SpanContext) => Spans;
  /**
   * Whether it can make folded heads of this rank; it can make any without this function. Planning rounds a rank to the
   * nearest one that can be made.
   */
  readonly allowsRank?: (side: { readonly span: number; readonly rank: number }, headDim: number) => boolean;
  /** The basis of one group, its large products made by `products`. */
  readonly basis?: (group: Group, products: MatrixProducts) => Promise<Basis>;
  /** In place of `basis`, where the groups of a layer must agree on something. */
  readonly bases?: (groups: readonly Group[], products: MatrixProducts) => Promise<readonly Basis[]>;
  /** In place of both: keys before the rotation and values share one latent. It needs the tap `keysAndValues`. */
  readonly joint?: (group: JointGroup, products: MatrixProducts) => Promise<JointBasis>;
  /**
   * Second moments of one side of a layer, those whose spectra a threshold on the rank goes by; each group's own
   * activations without it.
   */
  readonly spectra?: (groups: readonly Group[]) => readonly Matrix[];
  /**
   * What each further number of a group's joint latent saves in the squared error of the layer's output, descending, in one
   * unit for all layers. Budgets that compare layers by it need it (`power`).
   */
  readonly savings?: (group: JointGroup, products: MatrixProducts) => Promise<Float64Array>;
  /**
   * Keys are cached before the rotation, as latents that are expanded and rotated at each use (plain attention).
   * Without rotation nothing is expanded: such keys fold into `W_Q` like any other.
   */
  readonly keysBeforeRope?: boolean;
  /** It mixes heads within the frequencies of the rotation: layers that turn only a part of a head are refused. */
  readonly wholeRotation?: boolean;
  /**
   * It keeps whole heads: shares of the cache that are no whole number of heads are refused, never rounded. With spans
   * equal to the shrink the result has the shape and the rotation of a plain GQA checkpoint.
   */
  readonly standardShape?: boolean;
}

/** What default spans and shares of a layer may depend on. */
export interface SpanContext {
  /** `Hkv`. */
  readonly kvHeads: number;
  /** `d`. */
  readonly headDim: number;
  /** Numbers of a head that turn with the position (RoPE), 0 in layers without. */
  readonly rotaryDim: number;
  /**
   * KV heads that must share for folded heads to be whole ones: the denominator of `keep`. Where there are fewer KV
   * heads, how many times smaller the cache gets, rounded up.
   */
  readonly shrink: number;
}
