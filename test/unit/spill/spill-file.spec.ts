import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpillFile } from '#lib/spill/spill-file.js';
import { packageRoot } from '../package-root.js';
import { openSpillFiles } from '../events/whole/captured-changes.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spill-file-spec-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs a module in a process of its own. @returns what it has printed, as JSON */
function runChild(script: string): Record<string, unknown> {
  const args = ['--expose-gc', '--input-type=module', '-e', script, folder];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: packageRoot(), encoding: 'utf8' });
  try {
    return JSON.parse(stdout) as Record<string, unknown>;
  } catch {
    throw new Error(`the child printed no JSON: ${stdout}${stderr}`);
  }
}

describe('a spill file', () => {
  it('gives back what was written, from any place, and less at its end', async () => {
    const file = SpillFile.create(folder);
    file.write(Buffer.from('one'));
    file.write(Buffer.from('two three'));
    const target = Buffer.alloc(6);
    expect([await file.read(target, 1), target.toString()]).toEqual([6, 'netwo ']);
    expect([await file.read(target, 9), target.toString('utf8', 0, 3)]).toEqual([3, 'ree']);
    expect([file.size, await file.read(target, 99)]).toEqual([12, 0]);
    file.close();
  });

  it('is closed at the end of what is being read', async () => {
    const file = SpillFile.create(folder);
    file.write(Buffer.alloc(100, 7));
    const targets = [Buffer.alloc(100), Buffer.alloc(100)] as const;
    const reads = targets.map((target) => file.read(target, 0));
    file.close();
    file.close();
    expect(openSpillFiles(folder)).toHaveLength(1);
    expect(await Promise.all(reads)).toEqual([100, 100]);
    expect(targets[1][99]).toBe(7);
    expect(openSpillFiles(folder)).toEqual([]);
  });

  it('leaves no folder behind where it cannot be made', () => {
    const { names, code } = runChild(`
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { SpillFile } = await import('#lib/spill/spill-file.js');
      fs.openSync = () => { throw Object.assign(new Error('too many'), { code: 'EMFILE' }); };
      syncBuiltinESMExports();
      let code;
      try { SpillFile.create(process.argv[1]); } catch (error) { code = error.code; }
      console.log(JSON.stringify({ code, names: fs.readdirSync(process.argv[1]) }));`);
    expect([code, names]).toEqual(['EMFILE', []]);
  });

  // Stands for a network file system or an old Windows, which this machine has not: the first attempt to remove fails.
  it('whose name the system keeps loses it when it is closed, or at the exit of the process', () => {
    const { named, afterClose, listeners } = runChild(`
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { SpillFile } = await import('#lib/spill/spill-file.js');
      const { rmSync } = fs;
      let isOpen = true;
      fs.rmSync = (...args) => { if (isOpen) throw Object.assign(new Error('busy'), { code: 'EBUSY' }); rmSync(...args); };
      syncBuiltinESMExports();
      const folder = process.argv[1];
      const listeners = process.listenerCount('exit');
      const files = [SpillFile.create(folder), SpillFile.create(folder)];
      const named = fs.readdirSync(folder).map((name) => [name.replace(/\\w+$/, ''), (fs.statSync(folder + '/' + name).mode & 0o777).toString(8)]);
      const pid = process.pid;
      isOpen = false;
      files[0].close();
      console.log(JSON.stringify({
        named: named.map(([name, mode]) => [name.replace(pid, 'PID'), mode]),
        afterClose: fs.readdirSync(folder).length,
        listeners: process.listenerCount('exit') - listeners,
      }));`);
    const one = ['pg-listener-spill-PID-', '700'];
    expect({ named, afterClose, listeners }).toEqual({ named: [one, one], afterClose: 1, listeners: 1 });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('a transaction of a million rows', () => {
  it('takes little memory, kept and read', () => {
    const figures = runChild(`
      import { insert } from './build/test/support/pgoutput-encoder.js';
      const { TransactionCollector } = await import('#lib/events/whole/transaction-collector.js');
      const { Insert } = await import('#lib/changes/change.js');
      const { TransactionInfo } = await import('#lib/changes/transaction.js');
      const { CachedRelation } = await import('#lib/decoder/relation-cache.js');
      const { OidDatabase } = await import('#lib/decoder/oid-database.js');
      const columns = [['id', 23], ['text', 25], ['amount', 1700]].map(([name, typeOid]) => ({ name, typeOid, typeModifier: -1, isKey: false }));
      const cached = new CachedRelation({ id: 1, schema: 'public', table: 'rows', replicaIdentity: 'default', columns }, { oids: new OidDatabase() });
      const info = new TransactionInfo('default', 0x1000n, 700, new Date());
      const rows = 1_000_000;
      const messages = Array.from({ length: 1000 }, (_, id) => insert(1, [String(id), String(id).padEnd(68, '.'), '123.45']));
      const collector = new TransactionCollector({ changes: 10_000, bytes: 16 * 1024 * 1024 }, { folder: () => process.argv[1], chunkBytes: 256 * 1024 });
      gc();
      const before = process.memoryUsage().rss;
      let peak = 0;
      const look = () => (peak = Math.max(peak, process.memoryUsage().rss - before));
      // The processor's time where it is less: a machine, or a disk, that is busy with other things lets us wait.
      const clocks = () => [performance.now(), process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000];
      const perSecond = (count, start) => Math.round((count / Math.min(...clocks().map((now, at) => now - start[at]))) * 1000);
      let start = clocks();
      for (let index = 0; index < rows; index++) {
        const message = Buffer.from(messages[index % 1000]);
        const change = new Insert(info, cached.relation, { walHigh: 0, walLow: index, ordinal: 0, index }, { id: index });
        collector.add({ change, bytes: message.length, image: { cached, message } });
        if (index % 1000 === 0) look();
      }
      const written = perSecond(rows, start);
      start = clocks();
      let count = 0;
      for await (const change of collector.changesOf(0x1000n)) {
        if (change.index !== count++) throw new Error('out of order at ' + count);
        if (count % 1000 === 0) look();
      }
      const read = perSecond(count, start);
      console.log(JSON.stringify({ count, peak, written, read, spilled: collector.spilledBytes }));
      collector.clear();`);
    expect(figures).toMatchObject({ count: 1_000_000 });
    expect(figures['spilled']).toBeGreaterThan(100_000_000);
    expect(figures['peak']).toBeLessThan(50_000_000);
    // Some ten times less than what it is on an idle machine.
    expect(figures['read']).toBeGreaterThan(100_000);
    expect(figures['written']).toBeGreaterThan(100_000);
  });
});
