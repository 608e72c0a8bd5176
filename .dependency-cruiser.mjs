/**
 * The import direction law of docs/architecture.md, as rules. Parsed with swc because TypeScript 7 has no JavaScript API.
 */

/** Layers from the bottom up: a file may import from its own and from lower layers only. */
const SHARED_LAYERS = ['lib', 'contracts', 'database', '(bucket|files|http|jobs|lines|text)', '(files-api|sockets)'];
const INFERENCE_LAYERS = ['runtime', 'engine', 'generation', 'http'];
const TRAINER_LAYERS = [
  '(supervisor|environment)',
  '(data|tokenizers)',
  'prepare',
  '(publish|evaluation)',
  'runs',
  'http',
];

function layerRules(base, layers) {
  return layers.slice(0, -1).map((layer, index) => ({
    name: `${base.replaceAll('/', '-')}-${layer}-imports-nothing-above`,
    comment: `${base}: ${layers.join(' <- ')}`,
    severity: 'error',
    from: { path: `^${base}/${layer}/` },
    to: { path: `^${base}/(${layers.slice(index + 1).join('|')})/` },
  }));
}

/** They stand beside each other. */
const siblings = ['bucket', 'files', 'http', 'jobs', 'lines', 'text'].map((name) => ({
  name: `shared-${name}-imports-no-sibling`,
  severity: 'error',
  from: { path: `^shared/${name}/` },
  to: { path: '^shared/(bucket|files|http|jobs|lines|text)/', pathNot: `^shared/${name}/` },
}));

export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'everything-resolves',
      severity: 'error',
      from: { pathNot: '^bench/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'shared-knows-no-service',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: '^(services|cli|tests|bench|apps)/' },
    },
    ...layerRules('shared', SHARED_LAYERS),
    ...siblings,
    ...layerRules('services/inference', INFERENCE_LAYERS),
    ...layerRules('services/trainer', TRAINER_LAYERS),
    {
      name: 'engine-runs-in-a-process-of-its-own',
      comment: 'The service reaches the engine by its door; only the engine knows the runtime.',
      severity: 'error',
      from: { path: '^services/inference/(generation|http|models)/' },
      to: { path: '^services/inference/runtime/' },
    },
    {
      name: 'main-is-on-top',
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: ['^services/[^/]+/(main|serve)[.]ts$', '[.]test[.]ts$'] },
      to: { path: '^services/$1/(main|serve)[.]ts$' },
    },
    {
      name: 'services-keep-their-insides',
      comment:
        'One door leads from a service to another: @slipway/inference/engine; and the trainer publishes by the converter.',
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: '^services/trainer/' },
      to: { path: '^services/', pathNot: ['^services/$1/', '^services/inference/engine/index[.]ts$'] },
    },
    {
      name: 'trainer-knows-the-converter-by-its-doors',
      severity: 'error',
      from: { path: '^services/trainer/' },
      to: {
        path: '^services/',
        pathNot: [
          '^services/trainer/',
          '^services/converter/(check-source|convert|export-checkpoint|readers/read-text-side)[.]ts$',
        ],
      },
    },
    {
      name: 'services-know-no-application',
      severity: 'error',
      from: { path: '^services/' },
      to: { path: '^(cli|tests|bench|apps)/' },
    },
    {
      name: 'applications-know-services-by-http',
      comment:
        'A page is sent to a browser: it holds nothing of the services, and a service nothing of it but its built files.',
      severity: 'error',
      from: { path: '^apps/[^/]+/src/' },
      to: { path: '^(shared|services|cli|tests|bench)/' },
    },
    ...layerRules('apps/playground/src', ['api', 'conversation', 'view']),
    {
      name: 'only-ort-calls-native-code',
      comment: 'A wrong pointer ends the process, so that one file alone handles pointers.',
      severity: 'error',
      from: { path: '^(shared|services|cli)/', pathNot: '^services/inference/runtime/ort[.]ts$' },
      to: { path: 'node_modules/koffi/' },
    },
    {
      name: 'no-test-code-in-the-product',
      severity: 'error',
      from: { pathNot: ['[.]test[.]ts$', '^(tests|bench)/', '/testing/', '/fixtures/', 'conformance'] },
      to: { path: ['[.]test[.]ts$', '/testing/', '/fixtures/', '^tests/'] },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['(^|/)node_modules/[.]', '/fixtures/', '/[.]venv/'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.json', '.node'],
    },
  },
};
