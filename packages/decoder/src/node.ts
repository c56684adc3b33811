export { directorySource, readUtf8 } from "./node/directory-source.js";
export { directoryTarget } from "./node/directory-target.js";
