/**
 * Text as a terminal may show it: control characters and those that turn the direction of writing become escapes. Names
 * in messages come from files, which must not move the cursor or hide what is printed.
 */
export const printable = (text: string): string =>
  text.replace(/(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu, (character) => {
    const code = character.codePointAt(0)!.toString(16);
    return `\\u${code.padStart(4, "0")}`;
  });
