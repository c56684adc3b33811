import type { CacheCoding } from "@kvfold/runtime";
import type { CacheForm } from "../cache-form.js";
import { policyForm } from "../policy-form.js";
import { codedShape } from "./coded-shape.js";

/**
 * The form of `policy-form.ts` with a cache of bytes: `past_key_values.N.key|value|latent` are uint8 `[B, heads, P, n]`, and
 * beside each of them lies `…_int8_scale` or `…_int4_scale`, float16 `[B, heads, P, 1]`; new rows come out alike. A head of
 * more numbers than a scale is for lies in several heads of the cache. The past has at least one slot.
 */
export const quantisedForm = (coding: CacheCoding): CacheForm => ({
  ...policyForm,
  coding,
  tensors: (attention) =>
    policyForm.tensors(attention).flatMap(({ name, shape }) => {
      const { stored, scales, coding: own } = codedShape(shape, coding);
      return [
        { name, shape: stored, type: "uint8" as const },
        { name: scaleName(name, own), shape: scales, type: "float16" as const },
      ];
    }),
});

/** What the scales of a tensor are called. */
export const scaleName = (part: string, { precision }: CacheCoding): string => `${part}_${precision}_scale`;
