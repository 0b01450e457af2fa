export { PgListenerTerminusModule } from './pg-listener-terminus.module.js';
export { PgListenerHealthIndicator } from './pg-listener-health.indicator.js';
export type { HealthCheckOptions, HealthReport, HealthThresholds } from './health-judgement.js';
export { MissingPeerError } from '../errors/peer.error.js';
