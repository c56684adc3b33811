import { signal } from "@preact/signals";
import type { ModelFiles } from "../models/model-files.js";

/** What acts on the cache of a folded model, besides the fold. */
export interface CachePolicy {
  /** As `--cache` of the command line has it. */
  readonly cache: string;
  readonly label: string;
  /** The graph that it needs, in the folder `onnx`. */
  readonly graph: string;
}

const POLICY_GRAPH = "model_policy.onnx";
const INT8_GRAPH = "model_policy_int8.onnx";

/** The policies of the page. Half of the tokens of a prompt go, where tokens go. */
export const cachePolicies: readonly CachePolicy[] = [
  { cache: "keydiff:0.5", label: "KeyDiff, half of the tokens", graph: POLICY_GRAPH },
  { cache: "snapkv:0.5", label: "SnapKV, half of the tokens", graph: POLICY_GRAPH },
  { cache: "streaming:0.5", label: "StreamingLLM, half of the tokens", graph: POLICY_GRAPH },
  { cache: "int8", label: "int8", graph: INT8_GRAPH },
  { cache: "keydiff:0.5,int8", label: "KeyDiff, half of the tokens, and int8", graph: INT8_GRAPH },
];

/** The policy for folded models; none without. */
export const wantedPolicy = signal<CachePolicy | undefined>(undefined);

/**
 * Checks that a folder has the graph that a policy needs.
 *
 * @throws {Error} that says what to do.
 */
export function requireGraph(files: ModelFiles, { graph, label }: CachePolicy): void {
  if (files.has(`onnx/${graph}`)) return;
  throw new Error(
    `this model has no graph for ${label} (onnx/${graph}); fold it again on this page, or choose no policy`,
  );
}
