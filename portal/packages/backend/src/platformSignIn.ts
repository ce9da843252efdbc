import {
  coreServices,
  createBackendModule,
} from '@backstage/backend-plugin-api';
import { AuthenticationError } from '@backstage/errors';
import {
  authProvidersExtensionPoint,
  createProxyAuthenticator,
  createProxyAuthProviderFactory,
} from '@backstage/plugin-auth-node';

/** Header with a token of the platform's embedded issuer. */
const HEADER = 'x-ml-platform-token';

interface Me {
  kind: string;
  ref: string;
  groups: string[];
}

/**
 * Signs in whoever has a token of the platform's embedded issuer.
 *
 * It is the embedded default, for a platform on one's own machine. Where an organisation has a sign-in of its own, this
 * module and the sign-in page of the app are replaced by that one.
 */
export default createBackendModule({
  pluginId: 'auth',
  moduleId: 'ml-platform-provider',
  register(registration) {
    registration.registerInit({
      deps: {
        providers: authProvidersExtensionPoint,
        discovery: coreServices.discovery,
      },
      async init({ providers, discovery }) {
        const authenticator = createProxyAuthenticator({
          defaultProfileTransform: async (me: Me) => ({
            profile: { displayName: me.ref.split('/').pop() },
          }),
          initialize: () => ({}),
          async authenticate({ req }) {
            const token = req.header(HEADER);
            if (!token) {
              throw new AuthenticationError(`there is no ${HEADER}`);
            }
            const base = await discovery.getBaseUrl('ml-platform');
            const answer = await fetch(`${base}/identity/me`, {
              headers: { authorization: `Bearer ${token}` },
            });
            if (!answer.ok) {
              throw new AuthenticationError(
                'the platform does not accept the token; sign in again',
              );
            }
            const me = (await answer.json()) as Me;
            if (me.kind !== 'user') {
              throw new AuthenticationError(
                'the token is not that of a person',
              );
            }
            return { result: me };
          },
        });
        providers.registerProvider({
          providerId: 'ml-platform',
          factory: createProxyAuthProviderFactory({
            authenticator,
            signInResolver: async ({ result }, context) =>
              context.issueToken({
                claims: {
                  sub: result.ref,
                  ent: [result.ref, ...result.groups],
                },
              }),
          }),
        });
      },
    });
  },
});
