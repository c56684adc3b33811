/** Options that libraries take as lists under a plural name. */
const FLAGS: Readonly<Record<string, string>> = { formats: "--format", dtypes: "--dtype" };

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
