/** What `XREAD` answers: of each stream its key, and its entries as names and values in turn. */
export type Streams = readonly [key: string, entries: [id: string, fields: string[]][]][]
