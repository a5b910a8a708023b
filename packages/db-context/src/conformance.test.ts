import { describe, it } from 'vitest'
import { datasourceConformance, FakeDatasource } from './conformance/index.ts'

describe('datasource conformance of the fake', () => {
  for (const { name, run } of datasourceConformance) {
    it(name, () =>
      run(async () => {
        const datasource = new FakeDatasource()
        return {
          datasource,
          add: key => datasource.add(key),
          read: key => datasource.read(key),
          close: async () => {},
        }
      }),
    )
  }
})
