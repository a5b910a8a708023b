import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { apiError } from './errors.ts'
import { problemMediaType, problemOf } from './problems.ts'

/** As Node's HTTP parser and its clock name them; everything else that they find is HTTP_INVALID. */
const known = new Map<string, Error>([
  ['HPE_HEADER_OVERFLOW', apiError('HEADERS_TOO_LARGE', 'Request line and headers are larger than 16 KiB together')],
  ['ERR_HTTP_REQUEST_TIMEOUT', apiError('REQUEST_TIMEOUT', 'Request did not arrive in time: it was not started')],
])

const unreadable = apiError('HTTP_INVALID', 'Request is not HTTP/1.1 that can be read: it was not started')

/** What Node answers by itself, before there is a request that Fastify could answer: as a problem, like every other. */
export interface ClientErrors {
  /** Fastify's `clientErrorHandler`: answers what could not be read, and closes the connection. */
  readonly answer: (error: Error & { code: string }, socket: Socket) => void
  /** Needed for `answer`; refuses besides what Node would: expectations other than 100-continue, and no Host header. */
  watch(app: FastifyInstance): void
}

export function createClientErrors(): ClientErrors {
  const open = new WeakMap<Socket, Set<ServerResponse>>()
  /** On a pipeline the sender would take it for the answer to a request before it, which is under way. */
  const wouldBeMistaken = (socket: Socket) =>
    [...(open.get(socket) ?? [])].some(({ req, headersSent }) => headersSent || req.complete)
  return {
    answer: (error, socket) => {
      if (error.code === 'ECONNRESET' || socket.destroyed) return
      if (socket.writable && !wouldBeMistaken(socket)) socket.write(httpText(known.get(error.code) ?? unreadable))
      // As Node does: whoever sent this might never close its side.
      socket.destroy(error)
    },
    watch: app => {
      trackOpen(app.server, open)
      app.server.on('checkExpectation', refuseExpectation)
      app.addHook('onRequest', async ({ raw: { httpVersion, headers } }) => {
        if (httpVersion === '1.1' && headers.host === undefined) {
          throw apiError('HTTP_INVALID', 'Request has no Host header, which HTTP/1.1 demands')
        }
      })
    },
  }
}

function trackOpen(server: Server, open: WeakMap<Socket, Set<ServerResponse>>): void {
  server.on('request', ({ socket }, response) => {
    const responses = open.get(socket) ?? new Set()
    open.set(socket, responses.add(response))
    response.once('close', () => responses.delete(response))
  })
}

function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const { status, body } = problemText(
    apiError('EXPECTATION_UNSUPPORTED', 'Header Expect has another value than 100-continue'),
  )
  const headers = { 'content-type': problemMediaType, 'content-length': Buffer.byteLength(body), connection: 'close' }
  response.writeHead(status, headers).end(body)
}

function httpText(error: Error): string {
  const { status, body } = problemText(error)
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    `Content-Type: ${problemMediaType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

function problemText(error: Error) {
  const problem = problemOf(error, 'unread')
  return { status: problem.status, body: JSON.stringify(problem) }
}
