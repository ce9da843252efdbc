import { configApiRef, useApi } from '@backstage/frontend-plugin-api';
import { Alert, Button, Flex } from '@backstage/ui';

import { Problem } from '../api/client';

/** Opens the portal in another tab, where people sign in as they always do; this page stays as it is. */
const SignInAgain = () => {
  const portal = useApi(configApiRef).getString('app.baseUrl');
  return (
    <Button size="small" onPress={() => window.open(portal, '_blank')}>
      Sign in again
    </Button>
  );
};

/** Says why something can't be shown, and what can be done. */
export const Fault = ({
  error,
  retry,
}: {
  error: Problem;
  retry?: () => void;
}) => {
  const ended = error.status === 401;
  return (
    <Alert
      role="alert"
      status={error.passing || ended ? 'warning' : 'danger'}
      icon
      title={ended ? 'Your session has ended.' : error.detail}
      description={
        ended
          ? 'Sign in in the tab that opens, then come back: what you typed stays here.'
          : error.fix
      }
      customActions={
        (retry || ended) && (
          <Flex gap="2">
            {ended && <SignInAgain />}
            {retry && (
              <Button size="small" variant="secondary" onPress={retry}>
                Try again
              </Button>
            )}
          </Flex>
        )
      }
    />
  );
};
