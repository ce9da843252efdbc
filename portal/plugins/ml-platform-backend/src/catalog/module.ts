import {
  coreServices,
  createBackendModule,
  readSchedulerServiceTaskScheduleDefinitionFromConfig,
} from '@backstage/backend-plugin-api';
import { catalogProcessingExtensionPoint } from '@backstage/plugin-catalog-node';

import { PlatformClient } from '../client';
import { DatabaseCursor } from './cursor';
import { PlatformEntityProvider } from './provider';

const SCHEDULE = 'catalog.providers.mlPlatform.schedule';

/** Adds the platform's entities to the catalog, and keeps them current. */
export default createBackendModule({
  pluginId: 'catalog',
  moduleId: 'ml-platform',
  register(registration) {
    registration.registerInit({
      deps: {
        catalog: catalogProcessingExtensionPoint,
        auth: coreServices.auth,
        config: coreServices.rootConfig,
        database: coreServices.database,
        discovery: coreServices.discovery,
        logger: coreServices.logger,
        scheduler: coreServices.scheduler,
      },
      async init({
        catalog,
        auth,
        config,
        database,
        discovery,
        logger,
        scheduler,
      }) {
        const schedule = config.has(SCHEDULE)
          ? readSchedulerServiceTaskScheduleDefinitionFromConfig(
              config.getConfig(SCHEDULE),
            )
          : { frequency: { seconds: 5 }, timeout: { minutes: 5 } };
        catalog.addEntityProvider(
          new PlatformEntityProvider(
            new PlatformClient(auth, discovery),
            await DatabaseCursor.create(database),
            scheduler.createScheduledTaskRunner(schedule),
            logger,
          ),
        );
      },
    });
  },
});
