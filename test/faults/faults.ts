import { CATALOGUE_FAULTS } from './catalogue-faults.js';
import type { Fault } from './fault.js';
import { HANDLER_FAULTS } from './handler-faults.js';
import { PROCESS_FAULTS } from './process-faults.js';
import { SERVER_FAULTS } from './server-faults.js';

export const FAULTS: readonly Fault[] = [...SERVER_FAULTS, ...PROCESS_FAULTS, ...HANDLER_FAULTS, ...CATALOGUE_FAULTS];
