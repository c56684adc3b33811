import { measuredEnergy, originalModel } from "../fold/fold-state.js";
import { EnergyChart } from "./energy-chart.js";
import { EnergyTable } from "./energy-table.js";
import { LostEnergyFigure } from "./lost-energy-figure.js";
import { QualityFigure } from "./quality-figure.js";

/** The pictures that explain why folding works, and what it costs. */
export function PicturesView() {
  return (
    <section aria-labelledby="pictures-title">
      <h2 id="pictures-title">4. Look</h2>
      {originalModel.value && (
        <p>
          Measured on <strong>{originalModel.value.folder.name}</strong>, in this browser.
        </p>
      )}
      <div class="columns">
        <figure>
          <figcaption>Energy in the top quarter of the directions of a layer's keys and values</figcaption>
          {measuredEnergy.value.length > 0 ? (
            <EnergyChart energy={measuredEnergy.value} />
          ) : (
            <p class="hint">Appears while a model is folded.</p>
          )}
        </figure>
        <figure>
          <figcaption>Perplexity, relative to the original, by cache bytes per token</figcaption>
          <QualityFigure />
        </figure>
        <figure class="wide">
          <figcaption>
            Energy lost by latents of a part of the cache, keys and values counting half each
          </figcaption>
          <LostEnergyFigure energy={measuredEnergy.value} />
          {measuredEnergy.value.length > 0 && <EnergyTable energy={measuredEnergy.value} />}
        </figure>
      </div>
    </section>
  );
}
