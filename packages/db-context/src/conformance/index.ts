export type { DatasourceCase, DatasourceHarness } from './bench.ts'
export { datasourceConformance } from './datasource.ts'
export { FakeDatasource, type FakeOptions } from './fake-datasource.ts'
export { FakeStore } from './fake-store.ts'
