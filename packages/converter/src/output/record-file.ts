/** The file that every folder written by kvfold holds: the plan and what was done. */
export const RECORD_FILE = "kvfold.json";
