import {
  createFrontendPlugin,
  PageBlueprint,
} from '@backstage/frontend-plugin-api';
const models = PageBlueprint.make({ name: 'models', params: { path: '/models', title: 'Models', loader: async () => <div>hello</div> } });
export default createFrontendPlugin({ pluginId: 'ml-platform', extensions: [models] });
