const HUGGING_FACE = "https://huggingface.co";

/**
 * The Hub that models come from: huggingface.co, or what the page's address names, such as `?hub=https://hub.example`, for
 * mirrors and tests.
 *
 * @throws {Error} for what is not an address of the web.
 */
export function hubAddress(pageAddress: string): string {
  const wanted = new URL(pageAddress).searchParams.get("hub") ?? HUGGING_FACE;
  if (/^https?:\/\//.test(wanted) && URL.canParse(wanted)) return wanted.replace(/\/+$/, "");
  throw new Error(`hub=${wanted}: expected an address such as ${HUGGING_FACE}`);
}
