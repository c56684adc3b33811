/** Options with another name on the command line: those that libraries take as lists, and one that is only ever turned off. */
const FLAGS: Readonly<Record<string, string>> = { formats: "--format", dtypes: "--dtype", kl: "--no-kl" };

/** An option of a library as it is typed on the command line: `keySpan` becomes `--key-span`. */
export const optionFlag = (option: string): string =>
  FLAGS[option] ?? `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The message of an error that may name a library's option, with the option as it is typed on the command line. */
export function withOptionFlag(error: Error): string {
  const { message } = error;
  if (!("option" in error) || typeof error.option !== "string") return message;
  const { option } = error;
  const flag = optionFlag(option);
  if (message.startsWith(option)) return flag + message.slice(option.length);
  return message.includes(flag) ? message : `${flag}: ${message}`;
}
