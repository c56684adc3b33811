import type { PickedFolder } from "./dropped-folder.js";

const FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

/** The address of a file that comes with the page. */
export const demoUrl = (path: string): URL => new URL(`demo/${path}`, document.baseURI);

/** The model that comes with the page: six million parameters, trained on public-domain prose. */
export async function embeddedModel(): Promise<PickedFolder> {
  const blobs = await Promise.all(FILES.map((file) => fetchBlob(demoUrl(`prose-6m/${file}`))));
  const files = new Map(FILES.map((file, index) => [file, blobs[index]!]));
  return { name: "prose-6m", files, embedded: true };
}

/** A book that the embedded model was trained on, to calibrate with. */
export const calibrationText = async (): Promise<string> =>
  (await fetchBlob(demoUrl("calibration.txt"))).text();

/** The beginning of a book that it was not trained on, to measure with. */
export const validationText = async (characters: number): Promise<string> =>
  (await (await fetchBlob(demoUrl("validation.txt"))).text()).slice(0, characters);

async function fetchBlob(url: URL): Promise<Blob> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname}: expected a file, found status ${response.status}`);
  return response.blob();
}
