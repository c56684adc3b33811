import { writeFiles } from "./case-folder.js";
import { createCase } from "./create-case.js";

/** Writes the files of one case to a folder, to look at. */
const [seed, index, folder] = process.argv.slice(2) as [string, string, string];
writeFiles(createCase(Number(seed), Number(index)), folder);
