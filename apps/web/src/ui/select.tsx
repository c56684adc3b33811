interface Props<V extends string> {
  readonly label: string;
  readonly choices: readonly Choice<V>[];
  readonly value: V;
  readonly onChoose: (value: V) => void;
  readonly disabled?: boolean | undefined;
}

/** A value, and what is shown for it. */
type Choice<V extends string> = readonly [value: V, shown: string];

/** One of a few values, under a label. */
export const Select = <V extends string>({ label, choices, value, onChoose, disabled }: Props<V>) => (
  <label>
    {label}{" "}
    <select
      disabled={disabled}
      value={value}
      onChange={({ currentTarget }) => onChoose(currentTarget.value as V)}
    >
      {choices.map(([choice, shown]) => (
        <option key={choice} value={choice}>
          {shown}
        </option>
      ))}
    </select>
  </label>
);

/** Values that are shown as they are. */
export const plainChoices = (values: readonly (string | number)[]): readonly Choice<string>[] =>
  values.map((value) => [`${value}`, `${value}`]);

/** The fields of an object that has a text for each value. */
export const choicesOf = <V extends string>(
  texts: Readonly<Partial<Record<V, string>>>,
): readonly Choice<V>[] => Object.entries(texts) as unknown as readonly Choice<V>[];
