import { urlReaderFactoriesServiceRef } from '@backstage/backend-defaults/urlReader';
import {
  coreServices,
  createServiceFactory,
} from '@backstage/backend-plugin-api';

import { PLUGIN_ID, PlatformClient } from '../client';
import { PlatformUrlReader } from './reader';

/** Lets the catalog and TechDocs read the platform's embedded repositories, which nobody else serves over HTTP. */
export default createServiceFactory({
  service: urlReaderFactoriesServiceRef,
  deps: {
    auth: coreServices.auth,
    discovery: coreServices.discovery,
  },
  async factory({ auth, discovery }) {
    const base = await discovery.getBaseUrl(PLUGIN_ID);
    const client = new PlatformClient(auth, discovery);
    return ({ treeResponseFactory }) => [
      {
        reader: new PlatformUrlReader(client, base, treeResponseFactory),
        predicate: url => url.toString().startsWith(`${base}/git/`),
      },
    ];
  },
});
