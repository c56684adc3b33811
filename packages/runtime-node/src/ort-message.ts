/** A place in ONNX Runtime's sources, e.g. `/onnxruntime_src/onnxruntime/core/graph/model.cc:187 `. */
const PLACE = /[\w./\\-]+\.(?:cc|cpp|h|hpp):\d+ /;

/**
 * What ONNX Runtime says, without the place in its sources and the function there, which tell the reader nothing:
 * `matmul_helper.h:59 Compute MatMul dimension mismatch` becomes `MatMul dimension mismatch`.
 */
export function ortMessage(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  const [place] = PLACE.exec(message) ?? [];
  if (place === undefined) return message.trim();
  const start = message.indexOf(place);
  const before = message.slice(0, start).replace(/(\S)$/, "$1 ");
  return (
    before + message.slice(start + place.length + functionLength(message.slice(start + place.length)))
  ).trim();
}

/** Length of a function's name at the start of a text, with its parameters where they are given. */
function functionLength(text: string): number {
  const name = /^[^()]*?(?=[( ])/.exec(text)?.[0] ?? "";
  let end = name.length;
  const signature = /^[^.]*?\(/.exec(text)?.[0];
  if (signature !== undefined && /::/.test(signature)) end = closing(text, signature.length - 1);
  return end + (/^(?:::<lambda\(.*?\)>)*\s*(?:const\b)?\s*/.exec(text.slice(end))?.[0].length ?? 0);
}

/** Where the parenthesis that opens at `open` has closed. */
function closing(text: string, open: number): number {
  let depth = 0;
  for (let index = open; index < text.length; index++) {
    if (text[index] === "(") depth++;
    else if (text[index] === ")" && --depth === 0) return index + 1;
  }
  return text.length;
}
