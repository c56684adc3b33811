export { type FolderJournal, openJournal } from "./node/folder-journal.js";
export { createPendingFolder, type PendingFolder } from "./node/model-folder.js";
export { serveBlockMath } from "./node/serve-block-math.js";
export { removeStaleOutputs, type StaleOutputs } from "./node/stale-outputs.js";
export { temporaryPath } from "./node/temporary-path.js";
export { writeWholeFile } from "./node/whole-file.js";
export { workerBlockMath } from "./node/worker-block-math.js";
export { writeModel } from "./node/write-model.js";
