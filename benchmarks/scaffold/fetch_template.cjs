// Runs the handler of Backstage's own fetch:template over a folder and prints the milliseconds of each round as JSON.
// node --no-node-snapshot fetch_template.cjs NODE_MODULES SKELETON WORKSPACE ROUNDS
const path = require('node:path');
const fs = require('node:fs');
const { performance } = require('node:perf_hooks');
const { createRequire } = require('node:module');

const [modules, skeleton, workspace, rounds] = process.argv.slice(2);
const load = createRequire(path.join(modules, 'package.json'));

async function main() {
  const root = path.dirname(load.resolve('@backstage/plugin-scaffolder-backend/package.json'));
  const { createFetchTemplateAction } = require(path.join(root, 'dist/scaffolder/actions/builtin/fetch/template.cjs.js'));
  const { ConfigReader } = load('@backstage/config');
  const { ScmIntegrations } = load('@backstage/integration');
  const integrations = ScmIntegrations.fromConfig(new ConfigReader({}));
  const action = createFetchTemplateAction({ reader: {}, integrations });
  const logger = { info() {}, debug() {}, warn() {}, error() {}, child: () => logger };
  const seconds = [];
  for (let round = 0; round <= Number(rounds); round += 1) {
    const workspacePath = path.join(workspace, String(round));
    fs.mkdirSync(workspacePath, { recursive: true });
    const start = performance.now();
    await action.handler({
      input: { url: './', values: { name: 'churn' }, templateFileExtension: true, targetPath: 'churn' },
      templateInfo: { entityRef: 'template:default/golden-path', baseUrl: `file://${skeleton}/template.yaml` },
      logger,
      workspacePath,
      output() {},
      createTemporaryDirectory: async () => fs.mkdtempSync(path.join(workspace, 'tmp-')),
      checkpoint: async ({ fn }) => fn(),
      getInitiatorCredentials: async () => ({}),
    });
    if (round > 0) seconds.push((performance.now() - start) / 1000);
  }
  process.stdout.write(JSON.stringify(seconds));
}

main().catch(fault => {
  process.stderr.write(`${fault.stack}\n`);
  process.exit(1);
});
