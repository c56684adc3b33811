import { type CachePrecision, cacheCodings } from "@kvfold/runtime";
import type { CacheForm } from "./cache-form.js";
import { deltaForm } from "./delta-form.js";
import { type Dtype, dtypes, quantisedFileName } from "./dtype.js";
import { policyForm } from "./policy-form.js";
import { quantisedForm } from "./quantised/quantised-form.js";

/**
 * The graphs that lie beside the standard one for runtimes that own the cache, by file name: a delta graph with a cache of the
 * model's own floats, a policy graph for runtimes that drop tokens of the cache, and policy graphs of quantised caches.
 */
export function ownGraphs(
  dtype: Dtype,
  precisions: readonly CachePrecision[],
): readonly (readonly [fileName: string, form: CacheForm])[] {
  const { deltaFileName, policyFileName } = dtypes[dtype];
  return [
    [deltaFileName, deltaForm],
    [policyFileName, policyForm],
    ...precisions.map(
      (precision) =>
        [quantisedFileName(policyFileName, precision), quantisedForm(cacheCodings[precision])] as const,
    ),
  ];
}
