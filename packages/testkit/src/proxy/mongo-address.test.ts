import { expect, test } from 'vitest'
import { loadBalancedUrl } from './mongo-address.ts'
import { hostPortOf, urlThrough } from './target.ts'

const at = { host: '127.0.0.1', port: 9 }

test.each([
  ['mongodb://127.0.0.1:1/?replicaSet=rs0', 'mongodb://127.0.0.1:9/?loadBalanced=true'],
  ['mongodb://a:1,b:2/db?replicaSet=rs0&w=majority', 'mongodb://127.0.0.1:9/db?w=majority&loadBalanced=true'],
  ['mongodb://u:p@a/?authSource=admin', 'mongodb://u:p@127.0.0.1:9/?authSource=admin&loadBalanced=true'],
])('%s behind a load balancer', (url, expected) => {
  expect(loadBalancedUrl(url, at)).toBe(expected)
})

test.each([
  ['mongodb://a:1/?replicaSet=rs0', 'mongodb://127.0.0.1:9/?directConnection=true'],
  ['mongodb://a:1/?loadBalanced=true', 'mongodb://127.0.0.1:9/?loadBalanced=true'],
  ['redis://:secret@a:1/2', 'redis://:secret@127.0.0.1:9/2'],
])('%s by way of a proxy', (url, expected) => {
  expect(urlThrough(url, at)).toBe(expected)
})

test('the server of a URL, with the default port of its kind', () => {
  expect(hostPortOf('mongodb://u:p@a/?x=1')).toEqual({ host: 'a', port: 27_017 })
  expect(hostPortOf('redis://a:1')).toEqual({ host: 'a', port: 1 })
  expect(() => hostPortOf('mongodb://a:1,b:2/')).toThrow(/single host/)
})
