/** Letters whose names begin with a vowel: an MPT. */
const SPOKEN_WITH_VOWEL = /^[AEFHILMNORSX]/;
/** Capitals without a vowel, which are spoken one by one: MPT, GLM, GPT-2. */
const SPELLED = /^[B-DF-HJ-NP-TV-Z]{2,}(?![a-z])/;

/** The name of a model family after `a` or `an`, as it is spoken. */
export const withArticle = (name: string): string => {
  const beginning = SPELLED.test(name) ? SPOKEN_WITH_VOWEL : /^[aeiou]/i;
  return `${beginning.test(name) ? "an" : "a"} ${name}`;
};
