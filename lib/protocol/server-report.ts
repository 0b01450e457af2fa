import { BackendMessage } from './replication-messages.js';

/** Fields of ErrorResponse and NoticeResponse that we use (manual, section 54.8). Never `D`: it may hold row values. */
export interface ServerReport {
  /** Not localised: ERROR, FATAL, PANIC, WARNING, NOTICE, ... */
  readonly severity: string;
  /** The SQLSTATE. */
  readonly code: string;
  /** Name of the server's function that reports: like the SQLSTATE, and unlike the message, it is never localised. */
  readonly routine: string;
  readonly message: string;
}

const FIELDS: Record<number, keyof ServerReport | undefined> = {
  0x56: 'severity', // V
  0x43: 'code', // C
  0x4d: 'message', // M
  0x52: 'routine', // R
};

/** Reads the body of an ErrorResponse or NoticeResponse; what is missing stays empty, so that it never throws. */
export function parseServerReport(buffer: Buffer, start: number, end: number): ServerReport {
  const report = { severity: '', code: '', message: '', routine: '' };
  let position = start;
  while (position < end && buffer[position] !== 0) {
    const zero = buffer.indexOf(0, position + 1);
    if (zero < 0 || zero >= end) break;
    const field = FIELDS[buffer[position]!];
    if (field !== undefined) report[field] = buffer.toString('utf8', position + 1, zero);
    position = zero + 1;
  }
  return report;
}

/** An error of the server in the shape in which node-postgres gives its own: `code` is the SQLSTATE. */
export class ServerReportError extends Error {
  readonly code: string;
  readonly severity: string;

  constructor(report: ServerReport) {
    super(report.message);
    this.name = 'ServerReportError';
    this.code = report.code;
    this.severity = report.severity;
  }
}

/** The manual's name of a backend message type, for error texts. */
export function backendMessageName(type: number): string {
  for (const [name, code] of Object.entries(BackendMessage)) if (code === type) return name;
  return `0x${type.toString(16).padStart(2, '0')}`;
}
