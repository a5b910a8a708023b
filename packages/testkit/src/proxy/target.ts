import { throughUrl } from './mongo-address.ts'
import type { HostPort } from './primary.ts'

const REDIS_PORT = 6379
const MONGO_PORT = 27_017

/** Where the one server of a URL listens. @throws when the URL names several hosts, or none. */
export function hostPortOf(url: string): HostPort {
  const match = /^(mongodb|rediss?):\/\/(?:[^/@]*@)?([^/?,]+?)(?::(\d+))?(?:[/?].*)?$/.exec(url)
  const [, scheme, host, port] = match ?? []
  if (host === undefined) throw new Error('A fault proxy needs a mongodb:// or redis:// URL with a single host')
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? (scheme === 'mongodb' ? MONGO_PORT : REDIS_PORT)) }
}

/** The same URL by way of `at`. */
export function urlThrough(url: string, at: HostPort): string {
  if (url.startsWith('mongodb')) return throughUrl(url, at)
  const moved = new URL(url)
  moved.hostname = at.host
  moved.port = String(at.port)
  return moved.href
}
