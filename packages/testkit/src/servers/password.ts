/** A URL as it may be shown: its password is nobody's business. */
export function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^:/@]*):[^@/]*@/, '$1:***@')
}
