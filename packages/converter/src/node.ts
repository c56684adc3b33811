export { directorySource, readUtf8 } from "./node/directory-source.js";
export { createPendingFolder, type PendingFolder } from "./node/model-folder.js";
export { writeModel } from "./node/write-model.js";
