import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { fastify } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClientErrors } from '../src/client-errors.ts'
import { type RunningSchool, startSchool } from './running-school.ts'

let school: RunningSchool
beforeAll(async () => {
  school = await startSchool({ workers: 0 })
})
afterAll(async () => {
  await school?.[Symbol.asyncDispose]()
})

/** Sends bytes as they are, and gives back what comes until the server closes. */
async function exchange(url: string, bytes: string) {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.write(bytes)
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), head: head.toLowerCase(), body }
}

async function expectRefusal(
  url: string,
  bytes: string,
  { status, code, transient = false }: { status: number; code: string; transient?: boolean },
) {
  const answer = await exchange(url, bytes)
  expect(answer.head).toContain('content-type: application/problem+json')
  expect(JSON.parse(answer.body)).toEqual({
    type: `urn:strata:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: expect.any(String),
    status,
    code,
    outcome: 'not-applied',
    transient,
    detail: expect.any(String),
  })
  expect(answer.status).toBe(status)
}

const frame = 'POST /students HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n'
const invalid = { status: 400, code: 'HTTP_INVALID' }

describe('what is refused before there is a request', () => {
  test.for([
    ['20 kB of headers', `${frame}X-Long: ${'a'.repeat(20_000)}\r\n\r\n`, { status: 431, code: 'HEADERS_TOO_LARGE' }],
    ['no HTTP at all', 'Ada\r\n\r\n', invalid],
    ['a header without a name', `${frame}: a\r\n\r\n`, invalid],
    ['a version that is not spoken', 'GET /live HTTP/3.0\r\nHost: a\r\n\r\n', invalid],
    ['a chunk without a length', `${frame}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`, invalid],
    ['no Host', 'GET /live HTTP/1.1\r\nConnection: close\r\n\r\n', invalid],
    ['an expectation', `${frame}Expect: all\r\n\r\n`, { status: 417, code: 'EXPECTATION_UNSUPPORTED' }],
  ] as const)('%s', async ([, bytes, problem]) => {
    await expectRefusal(school.url, bytes, problem)
  })

  test('a body that stops half-way', async () => {
    const clientErrors = createClientErrors()
    await using app = fastify({
      clientErrorHandler: clientErrors.answer,
      requestTimeout: 100,
      http: { headersTimeout: 100, connectionsCheckingInterval: 20 },
    })
    clientErrors.watch(app)
    app.post('/students', async () => 'read')
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const problem = { status: 408, code: 'REQUEST_TIMEOUT', transient: true }
    await expectRefusal(url, `${frame}Content-Length: 100\r\n\r\n{`, problem)
  })

  test('is not told to the sender of another request that is under way', async () => {
    const clientErrors = createClientErrors()
    await using app = fastify({ clientErrorHandler: clientErrors.answer })
    clientErrors.watch(app)
    const { promise: never, resolve } = Promise.withResolvers<string>()
    app.get('/waiting', async () => await never)
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const { head } = await exchange(url, 'GET /waiting HTTP/1.1\r\nHost: a\r\n\r\nAda\r\n\r\n')
    resolve('')
    expect(head).toBe('')
  })
})
