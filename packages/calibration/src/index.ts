export { CalibrationError, type CalibrationErrorCode } from "./calibration-error.js";
export { deviceHiddenStates } from "./device-hidden-states.js";
export { type GramBlock, gramBlocks, gramBlocksSize } from "./gram-blocks.js";
export {
  type HiddenStates,
  type HiddenStatesFactory,
  memoryHiddenStates,
  type StatesOnDevice,
} from "./hidden-states.js";
export {
  describeMoments,
  loadMoments,
  type ModelMoments,
  mergeModelMoments,
  saveMoments,
} from "./moments-file.js";
export { checkTokens, parseTokenBytes, type TokenFormat } from "./parse-token-bytes.js";
export {
  emptyStage,
  runStage,
  type Streams,
  streamFeeds,
  tokenFeeds,
} from "./run-stage.js";
export { shiftOf, soFar } from "./running-totals.js";
export { type Shard, shardName, shardWindows, type WindowRange } from "./shard.js";
export { type ShardExchange, type SumPlace, shareOf, sumOverShards } from "./shard-exchange.js";
export type { RowReference, StageReference, StageShare } from "./stage-reference.js";
export type { CrossMoments, StageMoments, StageResult } from "./stage-result.js";
export { type Tokens, tokenWindows } from "./token-windows.js";
export { tokenizeDocument } from "./tokenize-document.js";
