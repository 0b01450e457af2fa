import { closeSync, mkdtempSync, openSync, read, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A file for what does not fit into memory, in a folder of its own below `folder`. Only this process can read it (folder
 * 0700, file 0600), and it loses its name as soon as it is open: the system frees the space when the process closes the
 * file or ends, by whatever it ends. Not even `kill -9` leaves a row on the disk. Where a system does not let go of
 * the name of an open file (network file systems, old versions of Windows), the folder is removed by `close` or at the
 * process's exit; there, and only there, `kill -9` leaves a folder `pg-listener-spill-<pid>-...` behind.
 */
export class SpillFile {
  /** Bytes written. */
  size = 0;
  private isClosed = false;
  private reads = 0;

  private constructor(
    private readonly descriptor: number,
    private readonly folder: string,
    private isNamed: boolean,
  ) {
    if (isNamed) process.once('exit', this.removeName);
  }

  /** @throws what the system says: there is no such folder, no permission, no room */
  static create(folder: string): SpillFile {
    const own = mkdtempSync(join(folder, `pg-listener-spill-${process.pid}-`));
    try {
      const descriptor = openSync(join(own, 'changes'), 'wx+', 0o600);
      return new SpillFile(descriptor, own, !isRemoved(own));
    } catch (error) {
      isRemoved(own);
      throw error;
    }
  }

  /**
   * Appends `bytes`. Synchronous: the caller must not take more before the disk has taken this, or what waits to be
   * written would be in memory after all. The system's cache makes it a copy of some 50 µs as a rule.
   */
  write(bytes: Buffer): void {
    for (let done = 0; done < bytes.length;) {
      const written = writeSync(this.descriptor, bytes, done, bytes.length - done, this.size);
      done += written;
      this.size += written;
    }
  }

  /** Fills `target` from `position` on. @returns how many bytes there were */
  read(target: Buffer, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.reads++;
      read(this.descriptor, target, 0, target.length, position, (error, count) => {
        this.reads--;
        this.letGo();
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }

  /** Frees the space, at the end of reads that are under way. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.letGo();
  }

  /** A descriptor that is closed under a read may be another file's by the time the read happens. */
  private letGo(): void {
    if (!this.isClosed || this.reads > 0) return;
    closeSync(this.descriptor);
    if (!this.isNamed) return;
    process.off('exit', this.removeName);
    this.removeName();
  }

  private readonly removeName = (): void => {
    this.isNamed = !isRemoved(this.folder);
  };
}

function isRemoved(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}
