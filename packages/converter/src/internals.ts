/** What kvfold's own apps build on beside the index. It may change in any release. */
export { type Calibrator, startCalibration } from "./fold/calibrator.js";
export { tapWidth } from "./graph/taps.js";
