import { DataSourcePlugin } from "@grafana/data";
import { BraidDatasource } from "./datasource";
import { ConfigEditor } from "./editor/ConfigEditor";
import { QueryEditor } from "./editor/QueryEditor";
import type { BraidOptions, BraidQuery, BraidSecrets } from "./types";

export const plugin = new DataSourcePlugin<BraidDatasource, BraidQuery, BraidOptions, BraidSecrets>(BraidDatasource)
  .setConfigEditor(ConfigEditor)
  .setQueryEditor(QueryEditor);
