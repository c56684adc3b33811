import { CompareView } from "./compare/compare-view.js";
import { FoldView } from "./fold/fold-view.js";
import { ModelPicker } from "./models/model-picker.js";
import { PicturesView } from "./pictures/pictures-view.js";
import { PageFooter } from "./ui/page-footer.js";
import { PageHeader } from "./ui/page-header.js";

/** The page, from top to bottom: what it is, choose a model, fold it, compare, look. */
export const App = () => (
  <>
    <PageHeader />
    <main>
      <ModelPicker />
      <FoldView />
      <CompareView />
      <PicturesView />
    </main>
    <PageFooter />
  </>
);
