import curves from "virtual:published-quality";
import { computed } from "@preact/signals";
import { originalModel } from "../fold/fold-state.js";
import type { PublishedCurve } from "./quality-points.js";

/** Measured on the embedded model: none where another one is folded. */
export const publishedCurves = computed<readonly PublishedCurve[]>(() => {
  const original = originalModel.value;
  return original === undefined || original.folder.embedded === true ? curves : [];
});
