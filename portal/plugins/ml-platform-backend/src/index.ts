/**
 * What a Backstage backend needs to work with the ML platform: entities of models, scaffolder actions, and a reader of
 * the platform's embedded repositories.
 *
 * @packageDocumentation
 */
import { createBackendFeatureLoader } from '@backstage/backend-plugin-api';

export default createBackendFeatureLoader({
  async *loader() {
    yield import('./catalog/module');
    yield import('./scaffolder/module');
    yield import('./reader/factory');
  },
});
