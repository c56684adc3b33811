import type { Choices } from "./choices.js";

/** Changes bytes without regard to what they mean; most changes fall into the first `head` bytes. */
export function mutateBytes(bytes: Uint8Array, head: number, choices: Choices): Uint8Array {
  const { int, pick, chance } = choices;
  const place = () => int(chance(0.9) ? Math.min(head, bytes.length) : bytes.length);
  return pick([
    () => changed(bytes, 1 + int(8), place, (byte) => byte ^ (1 << int(8))),
    () =>
      changed(bytes, 1 + int(4), place, () =>
        pick([0, 0x20, 0x22, 0x5c, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xff]),
      ),
    () => bytes.slice(0, place()),
    () => bytes.slice(0, bytes.length - 1 - int(Math.min(64, bytes.length))),
    () => joined(bytes, new Uint8Array(1 + int(64))),
    () => joined(bytes.subarray(0, place()), bytes),
    () => bytes.slice(int(16)),
  ])();
}

function changed(bytes: Uint8Array, count: number, place: () => number, change: (byte: number) => number) {
  const copy = bytes.slice();
  for (let done = 0; done < count && copy.length > 0; done++) {
    const at = place();
    copy[at] = change(copy[at]!);
  }
  return copy;
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
