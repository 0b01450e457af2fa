/** How long a server that shuts down waits for handlers to finish what they have in hand. */
const GRACE_MS = 2_000;
const LOOK_MS = 50;

export interface GracePort {
  readonly isDone: () => boolean;
  /** Tells the server what is settled. */
  readonly confirm: () => void;
  readonly close: () => void;
}

/** A server that shuts down waits for its streams: what is quick is finished and confirmed, then the stream closes. */
export class ShutdownGrace {
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly port: GracePort) {}

  /** @returns false: it has begun before */
  begin(): boolean {
    if (this.timer !== undefined) return false;
    const deadline = Date.now() + GRACE_MS;
    this.timer = setInterval(() => {
      this.port.confirm();
      if (!this.port.isDone() && Date.now() < deadline) return;
      clearInterval(this.timer);
      this.port.close();
    }, LOOK_MS);
    return true;
  }

  end(): void {
    clearInterval(this.timer);
  }
}
