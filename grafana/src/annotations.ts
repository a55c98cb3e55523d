import type { AnnotationSupport } from "@grafana/data";
import { QueryEditor } from "./editor/QueryEditor";
import type { BraidQuery } from "./types";

/**
 * Marks on charts: alerts and deploys answer time, timeEnd, title, text and
 * tags; any other query marks its rows, with the fields that the user maps.
 */
export const annotationSupport: AnnotationSupport<BraidQuery> = {
  QueryEditor,
  getDefaultQuery: () => ({ refId: "Anno", queryType: "alerts", expr: "" }),
  prepareQuery: (annotation) => annotation.target,
};
