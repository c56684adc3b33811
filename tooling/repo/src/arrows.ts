/** What a package may know of: its `dependencies` and `peerDependencies`, no more and no less. */
export interface Arrows {
  /** Other packages of this workspace, without their scope. */
  readonly to: readonly string[];
  /** Packages from outside. */
  readonly outside: readonly string[];
  /**
   * Packages of this workspace that `src/node` alone loads, and only where a caller brings nothing in their place:
   * optional peer dependencies.
   */
  readonly optional?: readonly string[];
}

/**
 * The arrows between the packages, as ARCHITECTURE.md draws them. `rope` is meant to be lifted out and stands alone;
 * `calibration` and `converter` take a session as an argument, so only the two runtimes know an ONNX Runtime, and only
 * apps know a runtime: `fold` of the converter loads one where it is given none. Apps see everything and are not listed.
 */
export const arrows: Readonly<Record<string, Arrows>> = {
  rope: { to: [], outside: [] },
  linalg: { to: [], outside: ["ml-matrix"] },
  // Cache policies: mathematics on views of a cache; a runtime applies what they return.
  policies: { to: ["linalg", "rope"], outside: [] },
  safetensors: { to: [], outside: ["@petamoriken/float16"] },
  onnx: { to: [], outside: ["@bufbuild/protobuf", "onnx-buf"] },
  autodiff: { to: ["onnx"], outside: [] },
  runtime: { to: ["policies", "safetensors"], outside: ["onnxruntime-common"] },
  // Its few graphs that move memory of a GPU are built where they run.
  "runtime-node": { to: ["onnx", "runtime"], outside: ["onnxruntime-node"] },
  "runtime-web": { to: ["runtime"], outside: ["onnxruntime-web"] },
  calibration: { to: ["linalg", "runtime", "safetensors"], outside: [] },
  decoder: { to: ["onnx", "rope", "runtime", "safetensors"], outside: [] },
  tuning: { to: ["autodiff", "decoder", "onnx", "runtime", "safetensors"], outside: [] },
  converter: {
    to: ["calibration", "decoder", "linalg", "onnx", "rope", "runtime", "safetensors", "tuning"],
    // `fold` of `@kvfold/converter/node` takes text as a user has it.
    outside: ["@huggingface/tokenizers", "zod"],
    optional: ["runtime-node"],
  },
};

/**
 * The arrows between the folders in `src` of the larger packages, no more and no less, imports of types included. Entry
 * points see all folders; other files that lie beside the folders see none and are seen by all.
 */
export const folderArrows: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  decoder: {
    model: [],
    config: [],
    quantisation: ["model"],
    families: ["config", "model"],
    checkpoint: ["families", "model"],
    graph: ["families", "model", "quantisation"],
    gguf: ["checkpoint", "families", "model"],
    output: ["checkpoint", "families", "gguf", "graph", "model"],
    stored: ["checkpoint", "families", "graph", "model", "quantisation"],
    exported: ["checkpoint", "families", "model", "quantisation"],
    node: ["checkpoint", "model", "output"],
  },
  converter: {
    graph: [],
    products: [],
    quantisation: [],
    methods: ["graph"],
    plan: ["graph", "methods"],
    journal: ["methods"],
    fold: ["graph", "journal", "methods", "plan", "quantisation"],
    budgets: ["fold", "graph", "methods", "plan"],
    output: ["fold", "plan"],
    tune: ["fold", "output", "plan"],
    hub: ["output"],
    node: ["budgets", "fold", "journal", "methods", "output", "plan", "tune"],
  },
};

/** Packages that hold one platform's code throughout; in others only `src/node.ts` and `src/node/` may use Node. */
export const nodePackages: readonly string[] = ["runtime-node"];

/** Names along a cycle of a graph, first name repeated at the end; `undefined` if it has none. */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const cleared = new Set<string>();
  const walk = (name: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (cleared.has(name)) return undefined;
    for (const next of graph.get(name) ?? []) {
      const cycle = walk(next, [...path, name]);
      if (cycle !== undefined) return cycle;
    }
    cleared.add(name);
    return undefined;
  };
  for (const name of graph.keys()) {
    const cycle = walk(name, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
