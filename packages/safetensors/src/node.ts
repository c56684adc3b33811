export { type FileSource, fileSource } from "./node/file-source.js";
export { openSafetensors, type SafetensorsFile } from "./node/open-safetensors.js";
export { readFully, writeFully } from "./node/transfer.js";
export { type TensorSource, writeSafetensorsFile } from "./node/write-safetensors-file.js";
