export { type FolderJournal, openJournal } from "./node/folder-journal.js";
export { createPendingFolder, type PendingFolder } from "./node/model-folder.js";
export { serveBlockMath } from "./node/serve-block-math.js";
export { workerBlockMath } from "./node/worker-block-math.js";
export { writeModel } from "./node/write-model.js";
