import type { HiddenStates } from "@kvfold/calibration";

/** Fills `to` with the first of the windows in `from`; the copies may be written without touching them. */
export async function copyStates(from: HiddenStates, to: HiddenStates): Promise<void> {
  for (let index = 0; index < to.windows; index++) await to.write(index, (await from.read(index)).slice());
}
