export type { HeadView, LayerView } from "./cache-view.js";
export type {
  HeadChange,
  LayerBudget,
  LayerChange,
  Policy,
  PolicyAction,
  PolicyNeeds,
  Scorer,
} from "./policy.js";
