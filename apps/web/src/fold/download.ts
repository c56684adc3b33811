import { downloadZip } from "client-zip";
import type { ModelFiles } from "../models/model-files.js";

/** Saves a model's folder as one zip file, stored and not squeezed: weights do not get smaller. */
export async function downloadFolder(name: string, files: ModelFiles): Promise<void> {
  const entries = [...files].map(([path, input]) => ({
    name: `${name}/${path}`,
    input,
    lastModified: new Date(),
  }));
  const url = URL.createObjectURL(await downloadZip(entries).blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name}.zip`;
  link.click();
  // The download reads from the URL after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
