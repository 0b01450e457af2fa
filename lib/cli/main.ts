#!/usr/bin/env node
import { runCli } from './cli.js';

void runCli(process.argv.slice(2), process).then((code) => {
  // Not at once: what was written may still be on its way.
  process.exitCode = code;
});
