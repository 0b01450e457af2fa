/** What was sent this recently tells how far the stream is behind. */
const RECENT_MS = 2_000;

/** What a stream has come to. */
export interface StreamProgress {
  /** When the oldest was committed that is not finished, in milliseconds since 1970; null: all is finished. */
  readonly oldestMs: number | null;
  /** It has brought the end of something: it knows better than the stream before it. */
  readonly hasReceived: boolean;
  /** Since when the server is silent that should say something, in milliseconds since 1970; null: it is not. */
  readonly silentSinceMs: number | null;
}

/**
 * How far the stream of an app is behind in time, across its connections. Pure: times are given.
 *
 * | what is known | lag |
 * |---|---|
 * | something is not finished | since the oldest of it was committed |
 * | all is finished, and more has just come | what lay between the commit and the sending of the last of it |
 * | all is finished, and the server has fallen silent | since it was heard last |
 * | all is finished | 0 |
 * | no stream, or one that has brought nothing yet | since the last one was up to date |
 * | never a stream, or another process has it | null |
 */
export class StreamLag {
  private sentTimeMs = 0;
  private sentLagMs = 0;
  private sentAtMs = -Infinity;
  private behindSinceMs: number | null = null;

  /** @param sentTimeMs of the last change, by the server's clock */
  read(sentTimeMs: number, lagMs: number, nowMs: number): void {
    if (sentTimeMs === this.sentTimeMs) return;
    this.sentTimeMs = sentTimeMs;
    this.sentLagMs = lagMs;
    this.sentAtMs = nowMs;
  }

  /** A stream has ended that was ours. */
  ended(stream: StreamProgress, nowMs: number): void {
    this.behindSinceMs = sinceOf(stream, this.behindSinceMs) ?? nowMs;
  }

  /** It is nobody's, or another process has it. */
  forget(): void {
    this.behindSinceMs = null;
    this.sentAtMs = -Infinity;
  }

  /** @param stream the present one; null: there is none */
  seconds(stream: StreamProgress | null, nowMs: number): number | null {
    const sinceMs = stream === null ? this.behindSinceMs : sinceOf(stream, this.behindSinceMs);
    if (sinceMs !== null) return Math.max(0, nowMs - sinceMs) / 1000;
    if (stream === null) return null;
    return nowMs - this.sentAtMs < RECENT_MS ? Math.max(0, this.sentLagMs) / 1000 : 0;
  }
}

function sinceOf(stream: StreamProgress, behindSinceMs: number | null): number | null {
  return stream.oldestMs ?? (stream.hasReceived ? null : behindSinceMs) ?? stream.silentSinceMs;
}
