export { PgListenerPrometheusModule, type PgListenerPrometheusOptions } from './pg-listener-prometheus.module.js';
export { MissingPeerError } from '../errors/peer.error.js';
