/** All indices below `tokens` but one, ascending. A loop, since policies for steps need it for each head at each step. */
export function allBut(dropped: number, tokens: number): Int32Array {
  const kept = new Int32Array(tokens - 1);
  for (let place = 0; place < kept.length; place++) kept[place] = place < dropped ? place : place + 1;
  return kept;
}
