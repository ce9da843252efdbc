import {
  coreServices,
  createBackendModule,
} from '@backstage/backend-plugin-api';
import { scaffolderActionsExtensionPoint } from '@backstage/plugin-scaffolder-node';

import { PlatformClient } from '../client';
import { createScaffoldAction } from './scaffold';
import { createUpdateAction } from './update';

/** Adds the platform's actions to Backstage's scaffolder. */
export default createBackendModule({
  pluginId: 'scaffolder',
  moduleId: 'ml-platform',
  register(registration) {
    registration.registerInit({
      deps: {
        actions: scaffolderActionsExtensionPoint,
        auth: coreServices.auth,
        discovery: coreServices.discovery,
      },
      async init({ actions, auth, discovery }) {
        const client = new PlatformClient(auth, discovery);
        actions.addActions(
          createScaffoldAction(client),
          createUpdateAction(client),
        );
      },
    });
  },
});
