import { type ErrorSpec, errorFactory } from '@strata/db-context'

const refused = { outcome: 'not-applied', transient: false } as const

/** Every error that the API process adds to those of the school and of the packages. */
export const apiErrors = {
  ADMISSION_FULL: { outcome: 'not-applied', transient: true, when: 'As many requests as ADMISSION_MAX are under way' },
  ANSWER_LATE: { outcome: 'not-applied', transient: true, when: 'A server did not answer a question about its state' },
  BODY_INVALID: { ...refused, when: 'The body cannot be read: it is not JSON, or shorter than announced' },
  BODY_TOO_LARGE: { ...refused, when: 'The body is larger than 1 MiB' },
  EXPECTATION_UNSUPPORTED: { ...refused, when: 'The Expect header has a value other than 100-continue' },
  HEADERS_TOO_LARGE: { ...refused, when: 'The request line and the headers are larger than 16 KiB together' },
  HTTP_INVALID: { ...refused, when: 'The request is not HTTP/1.1 that can be read' },
  INTERNAL: { outcome: 'unknown', transient: false, when: 'Something failed that the request does not explain' },
  MEDIA_TYPE_UNSUPPORTED: { ...refused, when: 'The body has a content type other than JSON' },
  REQUEST_INVALID: { ...refused, when: 'The request does not fit the schema of its route' },
  REQUEST_TIMEOUT: { outcome: 'not-applied', transient: true, when: 'The request did not arrive whole in 30 s' },
  ROUTE_NOT_FOUND: { ...refused, when: 'No route has this method and path' },
  URL_INVALID: { ...refused, when: 'The URL cannot be decoded' },
} as const satisfies Record<string, ErrorSpec>

export const apiError = errorFactory(apiErrors)
