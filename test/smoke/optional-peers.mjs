/** The subpaths with optional peers: what they say without them, and that they work with them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PEERS = {
  terminus: { peer: '@nestjs/terminus', imported: 'PgListenerTerminusModule' },
  prometheus: { peer: 'prom-client', imported: 'PgListenerPrometheusModule' },
};

/** Boots an application of one module, which opens no connection. */
const BOOT = `
  const boot = async (...imports) => {
    class App {}
    const root = PgListenerModule.forRoot({ connection: 'postgresql://127.0.0.1:1/x', slot: 'x', enabled: false });
    Module({ imports: [root, ...imports] })(App);
    return NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
  };`;

const MODULES = (name) => [
  ['{ Module }', '@nestjs/common'],
  ['{ NestFactory }', '@nestjs/core'],
  ['{ PgListenerModule }', name],
];

function program(isModule, imports, body) {
  const loads = imports.map(([names, from]) =>
    isModule ? `import ${names} from '${from}';` : `const ${names} = require('${from}');`,
  );
  const reflect = isModule ? `import 'reflect-metadata';` : `require('reflect-metadata');`;
  const main = `const main = async () => {${body}};
    main().catch((error) => { console.error(error); process.exitCode = 1; });`;
  return [reflect, ...loads, BOOT, main].join('\n');
}

/** In applications in which the package is installed, and its optional peers are not yet. */
export async function checkOptionalPeers(checks, applications, name) {
  for (const application of applications) {
    const isModule = application.template.packageJson.type === 'module';
    const { title } = application.template;
    const load = (file, imports, body) => {
      const path = `${file}.${isModule ? 'mjs' : 'cjs'}`;
      writeFileSync(join(application.folder, path), program(isModule, [...MODULES(name), ...imports], body));
      return application.run('node', [path], 30_000);
    };
    for (const [subpath, { peer, imported }] of Object.entries(PEERS)) {
      await checks.check(`${title}: ${subpath} loads without ${peer}, and says at boot what to install`, () =>
        load(
          `without-${subpath}`,
          [[`{ ${imported}, MissingPeerError }`, `${name}/${subpath}`]],
          `const asked = ${subpath === 'prometheus' ? `${imported}.forRoot()` : imported};
           const error = await boot(asked).then(() => new Error('it booted'), (e) => e);
           if (!(error instanceof MissingPeerError) || error.code !== 'PG_LISTENER_MISSING_PEER') throw error;
           if (!error.message.includes('npm install ${peer}')) throw error;`,
        ),
      );
    }
    await checks.check(`${title}: health and metrics with the peers installed`, async () => {
      const terminus = isModule ? '12' : '11';
      await application.run('npm', [
        'install',
        '--no-audit',
        '--no-fund',
        `@nestjs/terminus@${terminus}`,
        'prom-client',
      ]);
      await load(
        'with-peers',
        [
          ['{ TerminusModule, HealthCheckService }', '@nestjs/terminus'],
          ['{ register }', 'prom-client'],
          ['{ PgListenerTerminusModule, PgListenerHealthIndicator }', `${name}/terminus`],
          ['{ PgListenerPrometheusModule }', `${name}/prometheus`],
        ],
        `const app = await boot(TerminusModule, PgListenerTerminusModule, PgListenerPrometheusModule.forRoot());
         const indicator = app.get(PgListenerHealthIndicator, { strict: false });
         const health = app.get(HealthCheckService, { strict: false });
         const degradedAbove = { lagSeconds: 1, lagBytes: 1 };
         const result = await health.check([() => indicator.check('orders', { degradedAbove })]);
         if (result.status !== 'ok' || result.info.orders.state !== 'idle') throw new Error(JSON.stringify(result));
         const metrics = await register.metrics();
         if (!metrics.includes('pg_listener_up{app="default"} 1')) throw new Error(metrics);
         // What Terminus of this version makes of a lag.
         const degraded = await health.check([() => indicator.check('orders', { degradedAbove: { parked: -1 } })]);
         const said = degraded.info.orders;
         if (${isModule ? `degraded.status !== 'degraded'` : `said.status !== 'up' || said.degraded !== true`}) {
           throw new Error(JSON.stringify(degraded));
         }
         await app.close();
         if ((await register.metrics()).includes('pg_listener')) throw new Error('left in the registry');`,
      );
    });
  }
}
