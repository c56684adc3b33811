import type { Emitter } from "../emitter.js";

export declare namespace emitChoice {
  interface Options {
    readonly step: (e: Emitter) => string;
    readonly text: (e: Emitter) => string;
    /** Dimensions of what either gives. */
    readonly dims: readonly (number | string)[];
  }
}

/** The one value or the other: only the branch that is chosen runs. */
export function emitChoice(e: Emitter, isStep: string, { step, text, dims }: emitChoice.Options): string {
  const branch = (name: string, emit: (e: Emitter) => string) => {
    const graph = e.graph.branch(`${e.path}/${name}`);
    graph.output(emit(e.at(name).into(graph)), e.floatType, dims);
    return graph.toAttribute();
  };
  return e.node("If", "If", [isStep], {
    attributes: { then_branch: branch("step", step), else_branch: branch("text", text) },
  });
}
