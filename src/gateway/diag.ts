/**
 * The way to the diagnostic log, as the gateway sees it.
 *
 * Types only. Texts are constants, so that equal lines can be counted; what varies is in the data. Redaction and the
 * format of the line belong to whoever passes the function in.
 */
export type OnDiag = (level: 'warn' | 'info', message: string, data?: Readonly<Record<string, unknown>>) => void;
