/** The driver's options without `session`: the level and transaction at the call decide that. */
export type Sessionless<Options> = Omit<Options, 'session' | 'timeoutMS' | 'timeoutMode'> & { readonly session?: never }
