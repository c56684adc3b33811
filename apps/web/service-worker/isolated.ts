/**
 * The response with the headers that isolate a page from other origins, which threads of WebAssembly need and which hosts
 * of static files do not send.
 */
export function isolated(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
