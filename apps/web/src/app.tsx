import { CompareView } from "./compare/compare-view.js";
import { FitView } from "./fit/fit-view.js";
import { FoldView } from "./fold/fold-view.js";
import { ModelPicker } from "./models/model-picker.js";
import { PicturesView } from "./pictures/pictures-view.js";
import { PageFooter } from "./ui/page-footer.js";
import { PageHeader } from "./ui/page-header.js";

/** The page, from top to bottom: what it is, what fits, choose a model, fold it, compare, look. */
export const App = () => (
  <>
    <PageHeader />
    <main>
      <FitView />
      <ModelPicker />
      <FoldView />
      <CompareView />
      <PicturesView />
    </main>
    <PageFooter />
  </>
);
