/** What kvfold's own apps build on beside the index. It may change in any release. */
export { type Calibrator, startCalibration } from "./fold/calibrator.js";
export { planLossMoments } from "./fold/loss-moments.js";
export { type LostEnergy, lostEnergy, meanLostEnergy } from "./fold/lost-energy.js";
export { spreadMoments } from "./fold/spread-moments.js";
export { isGradientTap, tapWidth } from "./graph/taps.js";
export {
  CONFIG,
  type HubFile,
  hasCheckpoint,
  type ListedFile,
  type Listing,
  listingOf,
  SHARD_INDEX,
  SMALL_FILES,
  weightFiles,
} from "./hub/checkpoint-files.js";
export { dataFiles, graphPaths, knownGraph } from "./hub/graph-files.js";
export { type HubId, parseHubId } from "./hub/hub-id.js";
export { type HubAnswer, type RefusalReason, refusalReason } from "./hub/refusal-reason.js";
export { LICENSE_FILES, readCardOrigin } from "./output/card-origin.js";
export { CARD_FILE, CARD_NAME, modelCard } from "./output/model-card.js";
export { cachePrecisionsOf, quantisedBytesPerToken } from "./plan/cache-bits.js";
export { planRequest, readPlanRequest } from "./plan/plan-request.js";
export { shareWithinBytes } from "./plan/share-within-bytes.js";
export { openFolded } from "./tune/open-folded.js";
export { tuneFiles } from "./tune/tune-files.js";
export { tuneSettings, tuneWindows } from "./tune/tune-settings.js";
