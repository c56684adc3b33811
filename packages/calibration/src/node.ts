export { spillingHiddenStates } from "./node/file-hidden-states.js";
