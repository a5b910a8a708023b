import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { createClientErrors } from './client-errors.ts'
import { apiError } from './errors.ts'
import { describeRoutes } from './open-api.ts'
import { sendProblem } from './problems.ts'
import { requestLog } from './request-log.ts'
import { accountRoutes } from './routes/accounts.ts'
import { enrolmentRoutes } from './routes/enrolments.ts'
import { healthRoutes } from './routes/health.ts'
import { levelRoutes } from './routes/levels.ts'
import { metricRoutes } from './routes/metrics.ts'
import { studentRoutes } from './routes/students.ts'
import { transferRoutes } from './routes/transfers.ts'
import type { Services } from './services.ts'

const routes = [healthRoutes, studentRoutes, accountRoutes, enrolmentRoutes, transferRoutes, levelRoutes, metricRoutes]

const bodyBytesMax = 1024 * 1024
/** Longer than an id of 128 characters that are all percent-encoded as four bytes each. */
const paramCharactersMax = 2048
/** For the whole request to arrive: a sender that stops half-way must not keep its connection for ever. */
const requestMsMax = 30_000

/** Builds the HTTP server over open services. It listens on nothing: `listen` and `inject` are the caller's. */
export async function buildApp(services: Services): Promise<FastifyInstance> {
  // Pino's own type would spread into the type of every route.
  const loggerInstance: FastifyBaseLogger = services.log
  const clientErrors = createClientErrors()
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyBytesMax,
    requestTimeout: requestMsMax,
    routerOptions: { maxParamLength: paramCharactersMax },
    frameworkErrors: sendProblem,
    clientErrorHandler: clientErrors.answer,
    // Node's own refusal would be one without a body: `clientErrors` refuses it instead.
    http: { requireHostHeader: false },
    // What is on its way when the server closes is still answered properly, and its connection closed with it.
    return503OnClosing: false,
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(sendProblem)
  // Fastify reads text by default, and no route takes it: what is not JSON is 415.
  app.removeContentTypeParser('text/plain')
  clientErrors.watch(app)
  app.setNotFoundHandler(request => {
    throw apiError('ROUTE_NOT_FOUND', `No route for ${request.method} ${request.url}: GET /openapi.json lists them`)
  })
  closeConnectionsAtEnd(app)
  requestLog(app, services)
  await describeRoutes(app)
  for (const register of routes) await app.register(register, services)
  return app
}

/** Without it a kept-alive connection that was busy when the server closed would hold the stop up until it times out. */
function closeConnectionsAtEnd(app: FastifyInstance): void {
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
  })
  app.addHook('onSend', async (_request, reply) => {
    if (closing) void reply.header('connection', 'close')
  })
}
