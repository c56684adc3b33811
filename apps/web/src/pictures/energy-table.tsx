import { ENERGY_FRACTIONS, type LayerEnergy } from "../fold/fold-request.js";

/** The entry of `ENERGY_FRACTIONS` shown: a quarter. */
const QUARTER = ENERGY_FRACTIONS.indexOf(1 / 4);

/** The figures of both pictures of energy, for those who cannot see them. */
export const EnergyTable = ({ energy }: { readonly energy: readonly LayerEnergy[] }) => (
  <details>
    <summary>The figures by layer, at a quarter of the directions and of the cache</summary>
    <table>
      <thead>
        <tr>
          <th scope="col">layer</th>
          <th scope="col">energy of keys</th>
          <th scope="col">energy of values</th>
          <th scope="col">lost apart</th>
          <th scope="col">lost by one latent</th>
        </tr>
      </thead>
      <tbody>
        {energy.map(({ keys, values, lost }, layer) => (
          <tr key={`layer ${layer + 1}`}>
            <th scope="row">{layer + 1}</th>
            {[keys, values, lost?.apart, lost?.joint].map((shares, column) => (
              <td key={`column ${column + 1}`}>
                {shares === undefined ? "–" : formatEnergy(shares[QUARTER]!)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  </details>
);

const formatEnergy = (share: number): string => `${(100 * share).toFixed(1)} %`;
