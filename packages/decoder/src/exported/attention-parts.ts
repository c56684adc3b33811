import type { Norm } from "./match-norm.js";
import type { ProductPart } from "./match-part.js";
import type { RotationSource } from "./match-rotation.js";

/** Queries or keys as attention takes them, found back to their projection. */
export interface Heads {
  readonly part: ProductPart;
  readonly norm: Norm | undefined;
  readonly rotation: RotationSource | undefined;
}

/** Attention of a layer, found back to its projections. */
export interface Attention {
  readonly query: Heads;
  readonly key: Heads;
  readonly value: ProductPart;
}

/** The values that attention takes: cached ones with those of new tokens. */
export interface AttentionInputs {
  readonly query: string;
  readonly key: string;
  readonly value: string;
}
