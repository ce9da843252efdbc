import { Alert, Button } from '@backstage/ui';

import { Problem } from '../api/client';

/** Says why something can't be shown, and what can be done. */
export const Fault = ({
  error,
  retry,
}: {
  error: Problem;
  retry?: () => void;
}) => (
  <Alert
    role="alert"
    status={error.passing ? 'warning' : 'danger'}
    icon
    title={error.detail}
    description={error.fix}
    customActions={
      retry && (
        <Button size="small" variant="secondary" onPress={retry}>
          Try again
        </Button>
      )
    }
  />
);
