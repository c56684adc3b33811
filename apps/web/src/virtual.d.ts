declare module "virtual:published-quality" {
  const curves: readonly import("./pictures/quality-points.js").PublishedCurve[];
  export default curves;
}
