import { LatencyTally } from '../support/latency-tally.mjs';
import { Tally } from '../support/tally.mjs';

/**
 * One consumer in a process of its own. Takes a job, says when it listens, and reports what it counted. Ends with the
 * process that started it.
 */
process.once('disconnect', () => process.exit(1));
process.once('message', async (job) => {
  try {
    const { consume } = await import(`./${job.consumer.module}.mjs`);
    const tally = job.section === 'latency' ? new LatencyTally(job.expected) : new Tally(job.expected);
    const consumer = await consume(job, tally);
    process.send({ ready: true });
    await tally.done;
    await consumer.stop();
    process.send({ report: tally.report() }, () => process.exit(0));
  } catch (error) {
    process.send({ error: error.stack ?? String(error) }, () => process.exit(1));
  }
});
