import { configApiRef, useApi } from '@backstage/frontend-plugin-api';
import { Alert, Button, ButtonLink, Flex } from '@backstage/ui';

import { Problem } from '../api/client';
import { Refusal } from '../api/types';
import { sentences } from './State';

/** Opens the portal in another tab, where people sign in as they always do; this page stays as it is. */
const SignInAgain = () => {
  const portal = useApi(configApiRef).getString('app.baseUrl');
  return (
    <Button size="small" onPress={() => window.open(portal, '_blank')}>
      Sign in again
    </Button>
  );
};

/** Leads to where access is asked for, with what was refused filled in. */
export const AskForAccess = ({ action, resource }: AskedFor) => (
  <ButtonLink
    size="small"
    variant="secondary"
    href={`/access?${new URLSearchParams({ action, resource })}`}
  >
    Ask for access…
  </ButtonLink>
);

type AskedFor = Pick<Refusal, 'action' | 'resource'>;

/** Names the rules that refused something. */
function byRule({ access }: Problem): string | undefined {
  return access?.rules.length
    ? `Denied by rule ${access.rules.join(' and ')}`
    : undefined;
}

/** Says why something can't be shown, and what can be done. */
export const Fault = ({
  error,
  retry,
}: {
  error: Problem;
  retry?: () => void;
}) => {
  const ended = error.status === 401;
  const { access } = error;
  return (
    <Alert
      role="alert"
      status={error.passing || ended ? 'warning' : 'danger'}
      icon
      title={ended ? 'Your session has ended.' : error.detail}
      description={
        ended
          ? 'Sign in in the tab that opens, then come back: what you typed stays here.'
          : sentences(byRule(error), error.fix)
      }
      customActions={
        (retry || ended || access?.request) && (
          <Flex gap="2">
            {ended && <SignInAgain />}
            {access?.request && (
              <AskForAccess action={access.action} resource={access.resource} />
            )}
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
