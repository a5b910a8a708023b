export { type DatasourceCase, type DatasourceHarness, datasourceConformance } from './datasource.ts'
export { FakeDatasource, type FakeOptions } from './fake-datasource.ts'
export { FakeStore } from './fake-store.ts'
