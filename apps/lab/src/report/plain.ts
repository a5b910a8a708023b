/** A table without colours: it is read in files and pipes too. */
export const plain = { head: [] as string[], border: [] as string[] }
