export {
  type ComplexFrequencies,
  joinComplexFrequencies,
  splitComplexFrequencies,
} from "./complex-frequencies.js";
export {
  adjointMixing,
  type ComplexMixing,
  diagonalMixing,
  expandMixing,
  mixHeads,
} from "./complex-mixing.js";
export { commutesWithRope, measureRopeCommutator } from "./rope-commutator.js";
