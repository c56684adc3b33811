import { publishedCurves } from "./published-quality.js";
import { QualityChart } from "./quality-chart.js";
import { qualityPoints } from "./quality-points.js";

/** The picture with its legend, and with its figures as a table for those who cannot see it. */
export function QualityFigure() {
  const published = publishedCurves.value;
  const points = qualityPoints.value;
  if (points.length === 0 && published.length === 0)
    return <p class="hint">Measure the perplexity of a folded model; each size adds a point.</p>;
  return (
    <>
      <QualityChart points={points} published={published} />
      <ul class="legend">
        {points.length > 0 && (
          <li class="series own">
            <span class="swatch" /> measured in this tab
          </li>
        )}
        {published.map(({ method }, index) => (
          <li key={method} class={`series published-${index}`}>
            <span class="swatch" /> {method}
          </li>
        ))}
      </ul>
      {published.length > 0 && <PublishedTable />}
    </>
  );
}

function PublishedTable() {
  const curves = publishedCurves.value;
  const keeps = [...new Set(curves.flatMap(({ points }) => points.map(({ keep }) => keep)))];
  return (
    <details>
      <summary>The figures of prose-6m, calibrated on 128 windows, measured on 64</summary>
      <table>
        <thead>
          <tr>
            <th scope="col">method</th>
            {keeps.map((keep) => (
              <th key={keep} scope="col">
                {keep}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {curves.map(({ method, points }) => (
            <tr key={method}>
              <th scope="row">{method}</th>
              {keeps.map((keep) => (
                <td key={keep}>{points.find((point) => point.keep === keep)?.ratio.toFixed(3) ?? ""}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
