import { batch, type Signal, signal } from "@preact/signals";

/** A setting that a link carries after `#`, such as `#keep=1/8&method=latent`. */
interface LinkSetting {
  readonly initial: string;
  readonly write: () => string;
  /** Takes the text of a link; false where it means nothing. */
  readonly read: (text: string) => boolean;
}

const settings = new Map<string, LinkSetting>();

/**
 * A setting of the page that links carry.
 *
 * @param name - What links call it.
 * @param initial - Its value at first, which links leave out.
 * @param read - The value of a link's text; `undefined` where the text means nothing.
 */
export function linkSetting<T extends string | number>(
  name: string,
  initial: T,
  read: (text: string) => T | undefined,
): Signal<T> {
  const value = signal(initial);
  settings.set(name, {
    initial: String(initial),
    write: () => String(value.value),
    read: (text) => {
      const found = read(text);
      if (found !== undefined) value.value = found;
      return found !== undefined;
    },
  });
  return value;
}

/** Reads one of a list. */
export const oneOf =
  <T extends string | number>(choices: readonly T[]) =>
  (text: string): T | undefined =>
    choices.find((choice) => String(choice) === text);

/** The part of a link after `#` that carries all settings that differ from what they are at first. */
export function settingsAsHash(): string {
  const changed = [...settings].filter(([, { initial, write }]) => write() !== initial);
  const fields = new URLSearchParams(changed.map(([name, { write }]) => [name, write()]));
  return String(fields).replaceAll("%2F", "/").replaceAll("%3A", ":");
}

/**
 * Sets the controls as a link says. Settings that it leaves out go back to what they are at first.
 *
 * @returns What the page does not understand of the link, such as `method=none`.
 */
export function readHash(hash: string): readonly string[] {
  const fields = new Map(new URLSearchParams(hash.replace(/^#/, "")));
  return batch(() => {
    for (const [name, { initial, read }] of settings) if (!fields.has(name)) read(initial);
    const unknown = [...fields].filter(([name, text]) => !settings.get(name)?.read(text));
    return unknown.map(([name, text]) => `${name}=${text}`);
  });
}
